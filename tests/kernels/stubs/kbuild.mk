# SPDX-License-Identifier: GPL-2.0-only
# Stands for the kbuild of an old kernel tree: as much of it as kernel/build.sh asks for, with the
# strictest warnings that gcc can give for the C of that time.
#
# A tree is a directory with a .config and a Makefile of two lines:
#   SHAPES := the folders with its headers, the first one wins
#   include kbuild.mk
# make -C TREE M=DIRECTORY [ARCH=i386] modules

stubs := $(dir $(lastword $(MAKEFILE_LIST)))
src := $(M)
obj := $(M)
include $(M)/Kbuild

bits := $(if $(filter i386,$(ARCH)),32,64)
flags := -m$(bits) -nostdinc $(foreach shape,$(SHAPES),-I$(stubs)$(shape)) \
	-D__KERNEL__ -DMODULE -DCONFIG_X86_$(bits) $(CONFIG) \
	-std=gnu89 -O2 -fno-strict-aliasing -fno-common -fno-pic -ffreestanding \
	-Wall -Wextra -Wundef -Wstrict-prototypes -Wdeclaration-after-statement \
	-Wno-unused-parameter -Wno-trigraphs -Werror

names := $(obj-m:.o=)

# parts NAME: the objects of a module
parts = $(addprefix $(M)/,$(or $($(1)-y),$(1).o))

.PHONY: modules
.DELETE_ON_ERROR:
modules: $(foreach name,$(names),$(M)/$(name).ko)

define module
$(call parts,$(1)): private module := $(1)
$(M)/$(1).ko: $(call parts,$(1))
	$(LD) -r -m $(if $(filter 32,$(bits)),elf_i386,elf_x86_64) -o $$@ $$^
endef
$(foreach name,$(names),$(eval $(call module,$(name))))

$(M)/%.o: $(M)/%.c
	$(CC) $(flags) -DKBUILD_MODNAME='"$(module)"' $(ccflags-y) -c -o $@ $<
