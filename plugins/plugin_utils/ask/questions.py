# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to the table of records, as SQL for DuckDB over the view ``calls``.

Names of events and arguments come into the text as quoted literals only (``literal``).
"""

from collections.abc import Iterable, Mapping

from .pairs import RESULT, EventPair

COLUMNS = "run system host kernel cpu pid comm time_ns event in_init ints texts result site moment".split()
"""Columns of the view ``calls``.  The view ``numbered`` also has ``row``, the number of the row in its file."""

FILTERS = ("run", "system", "host", "kernel", "event", "comm", "site", "cpu", "pid", "in_init", "moment")
"""Columns by which records can be selected."""


def literal(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def literals(texts: Iterable[str]) -> str:
    """Return texts as an SQL list, which is never empty."""
    return ", ".join(literal(text) for text in texts) or "NULL"


def view(paths: Iterable[str], chosen: Mapping[str, list[str]]) -> str:
    """Return the SQL that makes the views over files, with the records that ``chosen`` selects.

    ``chosen`` is {column: GLOB patterns}; one pattern of each column must match.  Names of partitions stay text.  In
    tables from before the column ``moment`` existed, it is null.
    """
    escaped = (path.replace("[", "[[]").replace("*", "[*]").replace("?", "[?]") for path in paths)
    return (
        f"create view numbered as select {', '.join(COLUMNS)}, row from (select null::varchar as moment where false "
        f"union all by name select *, file_row_number as row from read_parquet("
        f"[{literals(escaped)}], hive_partitioning=true, hive_types_autocast=false, union_by_name=true, "
        f"file_row_number=true)) where {condition(chosen)}; "
        f"create view calls as select {', '.join(COLUMNS)} from numbered"
    )


def condition(chosen: Mapping[str, list[str]]) -> str:
    """Return an SQL condition; it is true when nothing is chosen."""
    every = [
        "(" + " or ".join(f"{column}::varchar glob {literal(pattern)}" for pattern in patterns) + ")"
        for column, patterns in chosen.items()
    ]
    return " and ".join(every) or "true"


def _held(names: Mapping[str, str]) -> str:
    """Return the SQL of the value that an event holds."""
    cases = (
        f"when {literal(event)} then {'result' if name == RESULT else f'ints[{literal(name)}]'}"
        for event, name in names.items()
    )
    return f"case event {' '.join(cases)} end"


COUNTS = """
select event, host, system, kernel, count(*) as calls, count(*) filter (where in_init) as in_init,
       count(distinct pid) as threads, count(distinct cpu) as cpus
from calls group by event, host, system, kernel order by event, host, system, kernel
"""


def _source(event: str | None, argument: str | None) -> str:
    """Return the SQL of rows (event, host, number, text) of a result or of an argument."""
    where = f"event = {literal(event)}" if event else "true"
    if argument is None:
        return f"""select event, host, result as number, null::varchar as text from calls
where {where} and result is not null"""
    name = literal(argument)
    return f"""select event, host, ints[{name}] as number, texts[{name}] as text from calls
where {where} and (map_contains(ints, {name}) or map_contains(texts, {name}))"""


def values(event: str | None, argument: str | None, limit: int) -> str:
    """Return the SQL that counts values of an argument, or of the result when it is None; most frequent first."""
    return f"""
with found as ({_source(event, argument)}), counted as (
    select event, host, coalesce(number::varchar, text) as value, number, count(*) as calls from found group by all
)
select event, host, value, {_meaning("number")} as meaning, calls,
       round(100 * calls / sum(calls) over (partition by event, host), 2) as percent
from counted
qualify row_number() over (partition by event, host order by calls desc, value) <= {limit}
order by event, host, calls desc, value
"""


def _meaning(number: str) -> str:
    return (
        f"case when {number} between -4095 and -1 then 'error' "
        f"when abs({number}::hugeint) >= 65536 then '0x' || lower(hex({number})) else '' end"
    )


def quantiles(event: str | None, argument: str | None) -> str:
    """Return the SQL of the distribution of an argument's numbers, or of the result's when it is None."""
    parts = ", ".join(
        f"quantile_disc(number, {share}) as {name}"
        for name, share in (("p25", 0.25), ("median", 0.5), ("p75", 0.75), ("p95", 0.95), ("p99", 0.99))
    )
    return f"""
with found as ({_source(event, argument)})
select event, host, count(*) as calls, count(distinct number) as "values", min(number) as min, {parts},
       max(number) as max
from found where number is not null group by event, host order by event, host
"""


def _steps(pair: EventPair) -> str:
    """Return the SQL of the rows of both sides of a pair, in order; ``again`` says what comes next for the same value.

    ``late``: the value was handed out twice, and the event that gave it back was recorded after its call.  It may have
    ended the first of the two, with a record that only came too late.  An event without a moment was recorded after
    its call.
    """
    firsts, thens = literals(pair.first), literals(pair.then)
    size_zero = literals(event for event, name in pair.first.items() if name == RESULT)
    common = "run, host, time_ns, row, event, pid, comm, in_init, site, coalesce(moment, 'after') as moment"
    return f"""
with steps as (
    select {common}, {_held(pair.first)} as value, true as begins from numbered where event in ({firsts})
    union all
    select {common}, {_held(pair.then)}, false
    from numbered where event in ({thens}) and (event not in ({firsts}) or result <> 0)
), kept as (
    select * from steps where value <> 0 and value not between -4095 and -1
    and not (begins and value = 16 and event in ({size_zero}))
), followed as (
    select *, lead(begins) over w as again, lead(event) over w as next_event, lead(moment) over w as next_moment,
           lead(time_ns) over w - time_ns as gap,
           lead(begins) over w and not lead(begins, 2) over w and lead(moment, 2) over w = 'after' as late
    from kept window w as (partition by run, host, value order by time_ns, row, begins)
)"""


def unfreed(pair: EventPair, limit: int) -> str:
    """Return the SQL of what was taken and not given back, oldest first."""
    return f"""{_steps(pair)}
select {literal(pair.name)} as pair, run, host, event, time_ns, comm, pid, in_init, site,
       '0x' || lower(hex(value)) as value,
       case when again and late then 'handed out again, or given back and recorded late'
            when again then 'handed out again' else 'never' end as given_back
from followed where begins and again is distinct from false order by run, host, time_ns, row limit {limit}
"""


def unfreed_counts(pair: EventPair) -> str:
    """Return the SQL of the balance of a pair for each host and event."""
    return f"""{_steps(pair)}
select {literal(pair.name)} as pair, run, host, event, count(*) as taken,
       count(*) filter (where again = false) as given_back,
       count(*) filter (where again) as handed_out_again, count(*) filter (where again and late) as or_recorded_late,
       count(*) filter (where again is null) as never
from followed where begins group by run, host, event order by run, host, event
"""


_MEASURED = """
case moment || ' ' || next_moment when 'after before' then 'return to call'
     when 'after after' then 'return to return, with the second call'
     when 'before before' then 'call to call, with the first call'
     else 'call to return, with both calls' end
"""
"""Say what the time between two records is, by the moments at which they were made."""


def between(pair: EventPair) -> str:
    """Return the SQL of the time from one side of a pair to the other."""
    return f"""{_steps(pair)}
select {literal(pair.name)} as pair, host, event as first, next_event as "then", {_MEASURED} as measured,
       count(*) as pairs, min(gap) as min_ns,
       quantile_disc(gap, 0.5) as median_ns, quantile_disc(gap, 0.95) as p95_ns, quantile_disc(gap, 0.99) as p99_ns,
       max(gap) as max_ns
from followed where begins and again = false group by host, event, next_event, measured
order by host, first, "then", measured
"""


def diff(left: Mapping[str, list[str]], right: Mapping[str, list[str]], at_least: float) -> str:
    """Return the SQL of the differences between two sets of records, the largest first.

    A value that is an address, or one of many, stands for its range.  Shares are of the calls of the event on that
    side; for ``calls`` they are calls per host and run.  ``at_least`` is the smallest difference of two shares that
    counts, and for ``calls`` the smallest relative one.
    """
    return f"""
with sided as (
    select *, unnest([side for side in [case when {condition(left)} then 1 end, case when {condition(right)} then 2 end]
                      if side is not null]) as side from numbered
), hosts as (select side, count(distinct (run, host)) as hosts from sided group by side),
numbers as (
    select event, 'result' as what, result as number, side, count(*) as calls from sided
    where result is not null group by all
    union all
    select event, 'argument ' || pair.key, pair.value, side, count(*)
    from (select event, side, unnest(map_entries(ints)) as pair from sided) group by all
), wide as (
    select *, count(distinct number) over (partition by event, what) > 64 as many,
           case when number >= 16 then 1::hugeint << floor(log2(number))::int end as power
    from numbers
), valued as (
    select event, what, side, sum(calls)::bigint as calls,
           case when number between -4095 and -1 then 'error ' || number
                when number >= 2147483648 or number < -1048576 then 'an address, or large'
                when many and number >= 16 then power || ' to ' || (2 * power - 1)
                when many and number < -4095 then 'below -4095'
                else number::varchar end as value
    from wide group by all
    union all
    select event, 'argument ' || pair.key, side, count(*), pair.value
    from (select event, side, unnest(map_entries(texts)) as pair from sided) group by all
    union all
    select event, 'in_init', side, count(*), in_init::varchar from sided where in_init is not null group by all
), totals as (
    select event, count(*) filter (where side = 1) as "left", count(*) filter (where side = 2) as "right"
    from sided group by event
), sides as (
    select v.event, what, value, coalesce(sum(calls) filter (where side = 1), 0)::bigint as "left",
           coalesce(sum(calls) filter (where side = 2), 0)::bigint as "right",
           t."left" as all_left, t."right" as all_right
    from valued v join totals t on t.event = v.event where t."left" > 0 and t."right" > 0
    group by v.event, what, value, t."left", t."right"
), rated as (
    select event, 'calls' as what, null as value, "left", "right",
           "left" / (select hosts from hosts where side = 1) as left_rate,
           "right" / (select hosts from hosts where side = 2) as right_rate, true as whole
    from totals
    union all
    select event, what, value, "left", "right", "left" / all_left, "right" / all_right, false from sides
), measured as (
    select *, abs(left_rate - right_rate) / case when whole then greatest(left_rate, right_rate) else 1 end as distance
    from rated
)
select case when "left" = 0 then 'only right' when "right" = 0 then 'only left'
            when left_rate > right_rate then 'more left' when left_rate < right_rate then 'more right'
            else 'same' end as difference,
       event, what, value, "left", "right", round(left_rate, 4) as left_rate, round(right_rate, 4) as right_rate
from measured where distance >= {at_least}
order by whole desc, case when "left" = 0 or "right" = 0 then 0 else 1 end, distance desc, "left" + "right" desc,
         event, what, value
"""


EVENTS = "select distinct event from calls order by event"


def arguments(event: str | None) -> str:
    """Return the SQL of the names of arguments, of one event or of all."""
    where = f"where event = {literal(event)}" if event else ""
    return f"""
select distinct unnest(list_concat(map_keys(ints), map_keys(texts))) as name from calls {where} order by name
"""
