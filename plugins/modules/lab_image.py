# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of kedr.lab.lab_image; the work is done by the action plugin of the same name."""

DOCUMENTATION = r"""
module: lab_image
short_description: Build or download the images of embedded test guests
version_added: 0.1.0
description:
  - Makes sure that the cache of the control node holds an image for each description.
  - An image is the root tree of a Debian suite with the distribution's own kernel, its headers, a compiler and an SSH
    server, made by C(mmdebstrap), and an C(ext4) disk made of that tree. Neither Python nor a secret is in it.
  - The tree is kept, so that kernel modules can be built in it natively.
  - With O(images[].cloud) it is a vendor's disk image instead. It is downloaded once; an interrupted download is gone
    on with, and nothing becomes an image before its checksum was found right.
  - Building needs root, or C(sudo) without a password. It takes about a minute with a near mirror and is
    told step by step. Runs that need the same image at the same time build it once.
author: The kedr.lab authors (@kedr-lab)
options:
  images:
    description: Images to build; an empty mapping is Debian 13 (trixie) amd64.
    type: list
    elements: dict
    default: [{}]
    suboptions:
      suite:
        description: Name of the suite.
        type: str
        default: trixie
      architecture:
        description: Architecture of the distribution; C(amd64) or C(i386). C(i386) needs C(arch-test).
        type: str
        default: amd64
      kernel:
        description:
          - Kernel package, such as C(linux-image-cloud-amd64); C(linux-image-amd64) or C(linux-image-686-pae) when
            empty. The headers package is the one with C(linux-headers-) in place of C(linux-image-).
          - A package from a pocket is written C(linux-image-amd64/bookworm-backports).
        type: str
        default: ''
      packages:
        description: Packages beyond what every guest needs.
        type: list
        elements: str
        default: []
      pockets:
        description: Further suites of the same mirror, such as C(bookworm-backports).
        type: list
        elements: str
        default: []
      apt_options:
        description:
          - Lines of apt configuration for the build, such as C(Acquire::Check-Valid-Until "false"). Allowed are
            C(Check-Date), C(Check-Valid-Until), C(Languages "none") and C(Retries) of C(Acquire), and C(Timeout) and
            C(Proxy) of C(Acquire::http) and C(Acquire::https).
        type: list
        elements: str
        default: []
      mirror:
        description: Overrides O(mirror) for this image.
        type: list
        elements: str
      security:
        description: Whether the suite's security updates are taken. Not every mirror has them for every architecture.
        type: bool
        default: true
      kernel_tree:
        description:
          - Absolute path of a directory with C(boot), C(usr/lib/modules) and C(usr/src) of a kernel that is in no
            package, such as C(scripts/debug-kernel.sh) makes. No kernel package is installed then.
          - It must lie in C(kernels) of the cache, and nobody but root and who builds the image may be able to change
            it.
          - The last part of the path stands for the content; another kernel needs another name.
        type: path
        default: ''
      cloud:
        description:
          - A vendor's disk image for clouds, with cloud-init in it, for x86_64. No other option goes with it.
          - Needs one of O(images[].cloud.sha256) and O(images[].cloud.checksums). No more than 16 GiB are taken.
        type: dict
        suboptions:
          url:
            description: Where the image is, an C(http), C(https) or C(file) URL of a qcow2 or raw disk.
            type: str
            required: true
          sha256:
            description: Its SHA-256 sum.
            type: str
          checksums:
            description:
              - URL of a list of checksums that has the image's SHA-256 or SHA-512 sum, such as C(SHA256SUMS).
              - It must be C(https) or C(file), and is not taken from anything else then; with
                O(images[].cloud.keyring) it may be C(http).
            type: str
          keyring:
            description:
              - Absolute path of a binary keyring of OpenPGP keys. One of them must have signed the list of checksums,
                in itself or in O(images[].cloud.signature). Needs the package C(gpgv).
              - An old list that was signed once is signed still; this does not tell that an image is the newest.
            type: path
          signature:
            description: URL of the signature of the list of checksums, where it is not in the list itself.
            type: str
          firmware:
            description: What boots the disk.
            type: str
            choices: [bios, uefi]
            default: bios
  cache_dir:
    description:
      - Directory of the images. When empty, E(KEDR_CACHE), else C(kedr-lab) in E(XDG_CACHE_HOME) or in C(~/.cache).
    type: str
    default: ''
  mirror:
    description:
      - Mirror URIs of C(http), C(https), C(file) or C(copy), or whole one-line apt sources C(deb [options] URI suite
        components) with the options C(arch), C(check-valid-until) and C(signed-by), a file of C(/usr/share/keyrings) or
        C(/etc/apt/keyrings). When empty, what C(mmdebstrap) chooses for the suite. Signatures are always checked.
      - The proxies that the machine's apt is set up with are used; they are not left in the image.
    type: list
    elements: str
    default: []
  refresh:
    description: Build again what is cached, to get the newest packages; download again what its vendor has replaced.
    type: bool
    default: false
  run_dir:
    description: Directory of a run, which keeps the outcome as the step C(image) of the task's host.
    type: str
    default: ''
attributes:
  check_mode:
    support: full
    description: Reports which images are missing.
  diff_mode:
    support: none
    description: There is nothing to compare.
seealso:
  - module: kedr.lab.lab_guest
"""

EXAMPLES = r"""
- name: Build the image of the default guest
  kedr.lab.lab_image:

- name: Build two images
  kedr.lab.lab_image:
    images:
      - suite: trixie
      - suite: bookworm
        kernel: linux-image-cloud-amd64

- name: Download a vendor's image
  kedr.lab.lab_image:
    images:
      - cloud:
          url: https://mirror.example/images/server.qcow2
          checksums: https://mirror.example/images/SHA256SUMS
"""

RETURN = r"""
images:
  description: What is known of each image, by its key in the cache.
  type: dict
  returned: success, not in check mode
  contains:
    release:
      description: Release of the kernel in the image; empty for a cloud image, which tells it when it runs.
      type: str
    tree:
      description: Root tree; a cloud image has none.
      type: str
    disk:
      description: Base disk for overlays.
      type: str
    kernel:
      description: Kernel to boot; a cloud image has its own boot loader.
      type: str
    cached:
      description: Whether the image was there already.
      type: bool
    seconds:
      description: How long the build or the download took.
      type: float
    tree_mb:
      description: Size of the tree in MB; not for a cloud image.
      type: int
    disk_mb:
      description: Space that the disk takes in MB.
      type: int
missing:
  description: Keys of the images that would be built.
  type: list
  elements: str
  returned: in check mode
kind:
  description: Kind of a failure; V(INPUT) is a mistake in the options, V(INFRA) a lack of the machine or the network.
  type: str
  returned: failure
"""
