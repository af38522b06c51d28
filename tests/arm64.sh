#!/bin/bash
# make test-arm64: runs deploy/install-jetson.sh with arm64 wheels, and a worker there that joins a
# study of this machine. The system is Debian 11 (glibc 2.31 and Python 3.9; a Nano's Ubuntu 20.04
# has the same glibc and Python 3.8) on an emulated Cortex-A57, the Nano's processor. Run it as root on
# Debian or Ubuntu, with the packages qemu-user-static and debootstrap. It takes half an hour, 1.5 GB.
# ARM64_ROOT=FOLDER keeps the system there for the next run; otherwise everything is removed.
set -euo pipefail

repository=$(cd "$(dirname "$0")/.." && pwd)
python=${1:?usage: arm64.sh PYTHON, the one that has pytest and hyperhive}
suite=bullseye
torch=1.13.1
binfmt=/proc/sys/fs/binfmt_misc
handler=hyperhive-aarch64

say() { printf '== %s, %s\n' "$(date +%T)" "$*"; }

# -- inside: mount and process namespaces that end with this script ----------------------------------

in_root() {
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 QEMU_CPU=cortex-a57 \
    PIP_CERT=/etc/ssl/certs/ca-certificates.crt PIP_NO_COMPILE=1 \
    ${PIP_INDEX_URL:+"PIP_INDEX_URL=$PIP_INDEX_URL"} timeout 1800 chroot "$root" "$@"
}

inside() {
  root=$1
  work=$2
  if [ ! -e "$root/complete" ]; then
    say "Debian $suite, arm64: second stage"
    in_root /debootstrap/debootstrap --second-stage >"$work/second-stage.log" 2>&1 || {
      tail -n 20 "$work/second-stage.log"
      exit 1
    }
    touch "$root/complete"
  fi
  mount -t proc proc "$root/proc"
  mount -t tmpfs tmpfs "$root/dev"
  mkdir "$root/dev/shm"
  for device in null zero random urandom; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
  done
  # PyTorch asks the kernel about the processors, which are of another kind on this machine.
  mount --rbind /sys "$root/sys"
  for number in $(seq "$(nproc)"); do
    printf 'processor\t: %s\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32\n' $((number - 1))
    printf 'CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x1\nCPU part\t: 0xd07\n'
    printf 'CPU revision\t: 1\n\n'
  done >"$work/cpuinfo"
  mount --bind "$work/cpuinfo" "$root/proc/cpuinfo"
  for shared in "$repository" "$work"; do
    mkdir -p "$root$shared"
    mount --bind "$shared" "$root$shared"
  done
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  # This machine's certificates, because its network may have its own authority.
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"

  say "deploy/install-jetson.sh, with PyPI's CPU build of torch $torch in place of a CUDA build"
  # From a copy, because building a wheel leaves folders behind.
  rm -rf "$root/hyperhive"
  mkdir "$root/hyperhive"
  git -C "$repository" ls-files -z | (cd "$repository" && xargs -0 cp --parents -t "$root/hyperhive")
  in_root sh /hyperhive/deploy/install-jetson.sh --anyway --venv /venv --torch "torch==$torch"
  in_root /venv/bin/python -c 'import platform, torch
print(platform.machine(), "Python", platform.python_version(), "torch", torch.__version__)'

  say "a worker there joins a study of this machine's coordinator; models of this torch run there"
  cat >"$work/python" <<END
#!/bin/sh
exec chroot '$root' /bin/sh -c 'cd "\$0" && exec /venv/bin/python "\$@"' "\$PWD" "\$@"
END
  chmod +x "$work/python"
  cd "$repository"
  QEMU_CPU=cortex-a57 HYPERHIVE_DEVICE_PYTHON=$work/python HYPERHIVE_DEVICE_PATIENCE=1200 \
    "$python" -m pytest -p no:cacheprovider --basetemp "$work/tests" --timeout 1800 --durations=3 -v \
    tests/acceptance/test_fleet.py::test_an_old_python_joins_the_fleet \
    tests/unit/test_inference_models.py::test_an_old_torch_runs_what_this_one_exported
  say "done"
}

if [ "${2:-}" = --inside ]; then
  inside "$3" "$4"
  exit
fi

# -- outside: checks what the machine has, and restores it at the end --------------------------------

[ "$(id -u)" -eq 0 ] || {
  echo 'make test-arm64 must run as root, because it creates a system in a folder and enters it' >&2
  exit 1
}
emulator=$(command -v qemu-aarch64-static || true)
if [ -z "$emulator" ] || ! command -v debootstrap >/dev/null; then
  echo 'make test-arm64 needs: apt-get install qemu-user-static debootstrap' >&2
  exit 1
fi

work=$(mktemp -d -t hyperhive-arm64-XXXXXX)
root=${ARM64_ROOT:-$work/root}
mounted=
inner=
clean_up() {
  # This ends every process in its namespaces, and removes its mounts.
  if [ -n "$inner" ]; then kill -KILL "$inner" 2>/dev/null && wait "$inner" || true; fi
  if [ -e "$binfmt/$handler" ]; then echo -1 >"$binfmt/$handler"; fi
  if [ -n "$mounted" ]; then umount "$binfmt"; fi
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

if [ ! -e "$binfmt/register" ]; then
  mount -t binfmt_misc binfmt_misc "$binfmt"
  mounted=yes
fi
# An existing handler for aarch64 may lack the flag F, with which the interpreter is found from inside
# a root. The kernel uses the handler that was registered last.
magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
printf ':%s:M::%s:%s:%s:F' "$handler" "$magic" "$mask" "$emulator" >"$binfmt/register"

if [ ! -d "$root/debootstrap" ] && [ ! -e "$root/complete" ]; then
  say "Debian $suite, arm64: first stage"
  debootstrap --arch=arm64 --foreign --variant=minbase \
    --include=python3-venv,ca-certificates,libgomp1 "$suite" "$root" >"$work/first-stage.log" 2>&1 || {
    tail -n 20 "$work/first-stage.log"
    exit 1
  }
fi
unshare --mount --pid --fork --kill-child --mount-proc \
  bash "$0" "$python" --inside "$root" "$work" &
inner=$!
wait "$inner"
