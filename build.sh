#!/bin/bash
# Builds, demonstrates, tests and measures RdmaMigration. ./build.sh help lists the commands.
set -euo pipefail
# A relative path is relative to the caller's directory.
[[ -z ${RDMAMIG:-} ]] || RDMAMIG=$(realpath "$RDMAMIG")
cd "$(dirname "$(realpath "$0")")"

export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
# Without ICU the SDK needs invariant globalization, which makes it warn about the languages of its packages.
compgen -G '/usr/lib/*/libicuuc.so.*' > /dev/null || export DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 MSBuildWarningsAsMessages=NETSDK1188
softroce=docker/softroce/softroce

usage() {
  cat << 'HELP'
usage: ./build.sh build                        build everything, and the program: .artifacts/publish/rdmamig
       ./build.sh demo [OPTION]...             migrate a machine from a real QEMU over RDMA into a file, and from the file into a second QEMU;
                                               move a .NET program while it runs
       ./build.sh test [SUITE]... [-- OPTION]  run all tests, or the named suites (Verbs, Interop, ...); options go to each test program:
                                               -- -class '*RPing*'
       ./build.sh bench [COMMAND [OPTION]...]  measure rdmamig beside a real QEMU and perftest; results: .artifacts/bench. Without a command:
                                               a short matrix with plots (5 minutes). bench --help lists the commands
       ./build.sh bench --micro [OPTION]...    measure zero scan and page path with BenchmarkDotNet; needs no RDMA device
       ./build.sh peers [RELEASE]              make a root file system with the QEMU of a newer Debian (default: trixie) for the interop tests
       ./build.sh pack [nuget|deb|tarball]     make the packages: NuGet packages of the libraries, a Debian package, and a tarball for other
                                               distributions: .artifacts/packages
       ./build.sh image [softroce|service]     make a Docker image: of a soft-RoCE host (docker/softroce/README.md), or of rdmamig
                                               (docker/service/README.md)
       ./build.sh check                        check the format of the source code
       ./build.sh clean                        remove everything that was built
       ./build.sh help                         print this text

Requires Debian 12 or later on x86-64 and the .NET 10 SDK. The script installs missing Debian packages, as root or with sudo: a compiler and the
verbs headers for build; QEMU, the RDMA tools and perftest for demo, test and bench; dpkg-dev for deb and tarball;
debootstrap for peers and image; for test also lintian, mandoc, man-db, debootstrap, zsh and fish.
Tests that need an RDMA device run in a guest with soft-RoCE if this machine has none: docker/softroce/README.md.
Tests of the images run if a Docker engine answers and has them. With CI=true, test installs and starts an engine and makes the images.
HELP
}

say() { printf '%s\n' "build.sh: $*" >&2; }
fail() { say "$@"; exit 1; }

# What each purpose needs. A purpose includes build.
declare -A packages=(
  # NuGet over https; native/ and Native AOT; the headers that native/ is compiled against.
  [build]='ca-certificates gcc libc6-dev zlib1g-dev cmake make libibverbs-dev librdmacm-dev'
  # RDMA at run time; QEMU, as a peer and to run the guest; the guest's initramfs.
  [rdma]='ibverbs-providers rdma-core iproute2 qemu-system-x86 busybox-static kmod cpio'
  # Peers of the tests: ibv_devices, rping, ib_write_bw, systemd; OpenSSL's library, for TLS; Prometheus and promtool.
  [test]='ibverbs-utils rdmacm-utils perftest systemd openssl prometheus'
  # A peer to compare with; the plots' font.
  [bench]='perftest fonts-dejavu-core'
  [peers]='debootstrap'
  [package]='dpkg-dev'
  # Checks of the package and its man pages; a plain Debian to install it on; shells with completions.
  [packaging]='lintian mandoc man-db debootstrap zsh fish'
  [image]='debootstrap'
  [engine]='docker.io'
  # Since Debian 13 docker.io does not contain the command docker.
  [docker]='docker-cli'
)

as_root=()
become_root() { # WHY
  ((EUID)) || return 0
  command -v sudo > /dev/null && { [[ -t 0 ]] || sudo -n true 2> /dev/null; } || fail "$1"
  as_root=(sudo)
}

install_packages() { # PURPOSE...
  local missing=() package purpose
  for purpose; do
    for package in ${packages[$purpose]}; do
      [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null) == installed ]] || missing+=("$package")
    done
  done
  ((${#missing[@]})) || return 0
  become_root "Debian packages are missing. As root, run: apt-get install --no-install-recommends ${missing[*]}"
  say "installing ${missing[*]}"
  local log=.artifacts/apt.log get=(${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive apt-get -qq)
  mkdir -p .artifacts
  if ! "${get[@]}" install --no-install-recommends -y "${missing[@]}" > "$log" 2>&1; then
    { "${get[@]}" update && "${get[@]}" install --no-install-recommends -y "${missing[@]}"; } > "$log" 2>&1 ||
      { cat "$log" >&2; fail "apt-get could not install ${missing[*]}"; }
  fi
}

# Unless an engine answers, which may be another package's.
install_engine() {
  ! docker version > /dev/null 2>&1 || return 0
  install_packages engine
  command -v docker > /dev/null || install_packages docker
}

need_sdk() {
  [[ ! -x $HOME/.dotnet/dotnet ]] || PATH=$PATH:$HOME/.dotnet
  if command -v dotnet > /dev/null && dotnet --list-sdks | grep -q '^10\.'; then return; fi
  fail "the .NET 10 SDK is missing. Install it into ~/.dotnet, where this script finds it:
  curl -fsSL https://dot.net/v1/dotnet-install.sh | bash -s -- --channel 10.0
or from packages: https://learn.microsoft.com/dotnet/core/install/linux-debian"
}

prepare() { # PURPOSE...
  install_packages build "$@"
  need_sdk
}

compile() { dotnet build "$1" -c Release -v quiet --tl:off; }

publish() {
  dotnet publish src/RdmaMigration.Cli -c Release -r linux-x64 -o .artifacts/publish -v quiet --tl:off
  say "built .artifacts/publish/rdmamig"
}

build() {
  prepare
  compile RdmaMigration.sln
  publish
}

# Builds what deb and tarball contain.
build_packaged() {
  prepare package
  compile packaging/RdmaMigration.Manual
  publish
}

# The programs of these suites, and rdmamig and its packages if they use them.
build_suites() {
  local suite
  for suite; do compile "tests/$suite"; done
  [[ " $* " != *.@(Interop|SoftRoce|Packaging).Tests* ]] || publish
}

# The format: what the formatter would change, and lines that are longer than .editorconfig allows.
check() {
  prepare
  local longest
  longest=$(sed -n 's/^max_line_length = //p' .editorconfig)
  # In UTF-8, or an arrow would count as three characters.
  if LC_ALL=C.UTF-8 grep -rnE --include='*.cs' "^.{$((longest + 1)),}" src tests packaging | cut -c 1-120 | grep . >&2; then
    fail "the lines above exceed the $longest characters that .editorconfig allows"
  fi
  dotnet format RdmaMigration.sln --verify-no-changes || fail "the format differs from .editorconfig. Fix it with: dotnet format RdmaMigration.sln"
}

peers() {
  install_packages peers
  local release=${1:-trixie}
  [[ -d .artifacts/peers/$release ]] || become_root "debootstrap needs root. As root, run: docker/peers/peers make $release"
  ${as_root[@]+"${as_root[@]}"} docker/peers/peers make "$release"
  docker/peers/peers list
}

pack() {
  (($#)) || set -- nuget deb tarball
  local kind nuget=0 of_program=()
  for kind; do
    case $kind in
      nuget) nuget=1 ;;
      deb | tarball) of_program+=("$kind") ;;
      *) fail "pack makes nuget, deb or tarball, not $kind" ;;
    esac
  done
  if ((nuget)); then
    prepare
    # The folder may hold packages of another version.
    rm -f .artifacts/packages/*.nupkg .artifacts/packages/*.snupkg
    dotnet pack RdmaMigration.Packages.slnf -c Release -v quiet --tl:off
  fi
  if ((${#of_program[@]})); then
    build_packaged
    packaging/package "${of_program[@]}"
  fi
  say "made the packages in .artifacts/packages"
}

image() {
  local kind=${1:-softroce}
  install_packages image
  if [[ $kind == service ]]; then prepare; publish; fi
  docker/image "$kind"
}

# Runs in the guest. The guest does not cache files of the repository and starts rdmamig often, so it runs a copy in memory.
# RDMAMIG names another program, which is copied likewise.
rdmamig_from_memory() {
  local program=${RDMAMIG:-.artifacts/publish/rdmamig}
  [[ ${SOFTROCE:-} != host && ( -n ${RDMAMIG:-} || -f $program ) ]] || return 0
  cp "$program" /dev/shm/rdmamig && export RDMAMIG=/dev/shm/rdmamig
}

guest_options=()

in_guest() {
  local script
  script=$(declare -f rdmamig_from_memory; echo 'rdmamig_from_memory && exec "$@"')
  [[ -z ${RDMAMIG:-} ]] || guest_options+=(--env "RDMAMIG=$RDMAMIG")
  "$softroce" run --memory "${SOFTROCE_MEMORY:-4096}" "${guest_options[@]}" -- bash -c "$script" in-guest "$@"
}

demo() {
  prepare rdma
  compile tests/RdmaMigration.Demo
  publish
  in_guest .artifacts/bin/RdmaMigration.Demo/release/rdmamig-demo "$@"
}

bench() {
  local program=.artifacts/bin/RdmaMigration.Bench/release/rdmamig-bench
  if [[ ${1:-} == --micro ]]; then
    shift
    (($#)) || set -- --filter '*'
    prepare
    compile tests/RdmaMigration.Bench
    "$program" micro -- --artifacts .artifacts/bench/micro "$@"
    return
  fi
  prepare rdma bench
  compile tests/RdmaMigration.Bench
  (($#)) || set -- matrix --sizes 32,128 --zero 0,90 --repeats 1
  case " $* " in
    # Help and plots need no RDMA device.
    *' --help '* | *' -h '* | ' plot '*) "$program" "$@" ;;
    # Boots two guests itself.
    ' faults '*)
      publish
      "$program" "$@" ;;
    *)
      publish
      # CPU time is counted exactly only if the kernel runs without a tick, which its first processor never does.
      [[ $1 != cpu ]] || guest_options=(--cpus 3 --append nohz_full=1,2)
      in_guest "$program" "$@" ;;
  esac
}

run_tests() {
  local wanted=() options=() suites=() suite name
  while (($#)); do
    case $1 in
      --) shift; options=("$@"); break ;;
      *) wanted+=("$1") ;;
    esac
    shift
  done
  for name in "${wanted[@]:-}"; do
    for suite in tests/*"$name".Tests/; do
      [[ -d $suite ]] || fail "no suite named $name: $(cd tests && echo *.Tests)"
      suites+=("$(basename "$suite")")
    done
  done
  includes() { [[ " ${suites[*]} " == *" RdmaMigration.$1.Tests "* ]]; }
  prepare rdma test
  ! includes Packaging || install_packages package packaging
  local engine=()
  if [[ ${CI:-} == true ]]; then
    ((!EUID)) || fail "with CI=true, test needs root: packages are installed on a plain Debian, and the Docker engine is started"
    ! includes SoftRoce || { install_engine; engine=(docker/engine); }
    # The check takes one core for minutes; peers and image mostly wait for the network.
    if ((${#wanted[@]} == 0)); then
      check &
      trap 'kill "$!" 2> /dev/null || true' EXIT
    fi
    ! includes Interop || peers trixie
    ! includes Packaging || packaging/clean-root make
    ! includes SoftRoce || { install_packages image; "${engine[@]}" docker/image softroce; }
    if ((${#wanted[@]} == 0)); then
      wait "$!"
      trap - EXIT
    fi
  fi
  if ((${#wanted[@]} == 0)); then build; else build_suites "${suites[@]}"; fi
  ! includes Packaging || packaging/package deb tarball
  ((${#engine[@]} == 0)) || "${engine[@]}" docker/image service
  "${engine[@]}" tests/run "${suites[@]}" -- "${options[@]}"
}

clean() { rm -rf .artifacts; }

command=${1:-help}
(($# == 0)) || shift
case $command in
  build | demo | bench | peers | pack | image | check | clean) "$command" "$@" ;;
  test) run_tests "$@" ;;
  help | --help | -h) usage ;;
  *) usage >&2; exit 2 ;;
esac
