#!/bin/bash
# Builds, demonstrates, tests and measures RdmaMigration. ./build.sh help lists the commands.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")"

export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
# Without ICU the SDK needs invariant globalization, which makes it warn about the languages of its packages.
compgen -G '/usr/lib/*/libicuuc.so.*' > /dev/null || export DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 MSBuildWarningsAsMessages=NETSDK1188
softroce=docker/softroce/softroce
results=.artifacts/test-results
# Time limit of the guest that runs the tests; the whole run has 45 minutes.
guest_seconds=3000

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
  # Peers of the tests: ibv_devices, rping, ib_write_bw, systemd-analyze; OpenSSL's library, for TLS; Prometheus and promtool.
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

# Whether a Docker engine answers. Debian's engine refuses Testcontainers' newer API, so the version is exported for it.
find_engine() { DOCKER_API_VERSION=$(docker version --format '{{.Server.APIVersion}}' 2> /dev/null) && export DOCKER_API_VERSION; }

engine=''
stop_engine() { ! kill "$engine" 2> /dev/null || wait "$engine" || true; }

# Starts a Docker engine if none answers. Where systemd does not run, it ends with this script and leaves the machine's firewall and routes alone:
# containers of one network reach each other without them.
start_engine() {
  ! find_engine || return 0
  ((!EUID)) || fail "the Docker engine needs root: run dockerd"
  install_packages engine
  command -v docker > /dev/null || install_packages docker
  # Under systemd the package has started its engine, which stays.
  ! find_engine || return 0
  local log=.artifacts/dockerd.log waited=0
  mkdir -p .artifacts
  dockerd --bridge=none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false > "$log" 2>&1 &
  engine=$!
  trap stop_engine EXIT
  until find_engine; do
    if ((waited++ == 150)) || ! kill -0 "$engine" 2> /dev/null; then
      tail -n 15 "$log" >&2
      fail "the Docker engine does not answer; the whole log: $log"
    fi
    sleep 0.2
  done
}

# Makes an image. Makes its base from Debian packages, so that no image is pulled. The base is of this machine's release, so that programs that are
# built here run there. The build uses this machine's network, because the engine that start_engine starts has none.
image() {
  local kind=${1:-softroce} name=softroce context=docker/softroce
  case $kind in
    softroce) ;;
    service) name=rdmamig context=.artifacts/publish; prepare; publish ;;
    *) fail "no image named $kind: softroce or service" ;;
  esac
  find_engine || fail "no Docker engine answers. Install and start one: apt-get install docker.io"
  install_packages image
  local release base log=.artifacts/image-$kind.log
  # shellcheck source=/dev/null
  release=$(source /etc/os-release && echo "$VERSION_CODENAME")
  base=rdmamig-debian:$release
  mkdir -p .artifacts
  docker image inspect "$base" > /dev/null 2>&1 || become_root "debootstrap needs root. As root, run: docker/debian-image $release $base"
  ${as_root[@]+"${as_root[@]}"} docker/debian-image "$release" "$base"
  docker build --network host --build-arg BASE="$base" --build-arg http_proxy --build-arg https_proxy \
    -t "$name" -f "docker/$kind/Dockerfile" "$context" > "$log" 2>&1 ||
    { tail -n 15 "$log" >&2; fail "the image $name could not be made; the whole log: $log"; }
  say "made the image $name"
}

# Runs in the guest. The guest does not cache files of the repository and starts rdmamig often, so it runs a copy in memory.
rdmamig_from_memory() {
  [[ ${SOFTROCE:-} != host && -f .artifacts/publish/rdmamig ]] || return 0
  cp .artifacts/publish/rdmamig /dev/shm/ && export RDMAMIG=/dev/shm/rdmamig
}

guest_options=()

in_guest() {
  local script
  script=$(declare -f rdmamig_from_memory; echo 'rdmamig_from_memory && exec "$@"')
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

# Where there is no KVM the guest is emulated, and just-in-time compilation takes a third of a suite's time there. So the programs that run in the
# guest are compiled ahead of time.
publish_suite() { # SUITE
  dotnet publish "tests/$1" -c Release -r linux-x64 --no-self-contained -p:PublishReadyToRun=true -o ".artifacts/guest/$1" -v quiet --tl:off
}

program_of() { # SUITE PLACE
  if [[ $2 == guest ]]; then echo ".artifacts/guest/$1/$1"; else echo ".artifacts/bin/$1/release/$1"; fi
}

# Whether a filter selects tests of a suite. If the program cannot tell, this returns true: running it shows the error.
selects() { # SUITE FILTER...
  local suite=$1
  shift
  [[ $("$(program_of "$suite" host)" -noLogo -noColor -list methods/json "$@") != '[]' ]]
}

# Runs one suite and keeps its results. A program that crashes leaves no file, which the summary counts as a failure.
run_suite() { # SUITE PLACE OPTION...
  local suite=$1 place=$2 started=$SECONDS
  shift 2
  echo "== $suite ($place)"
  "$(program_of "$suite" "$place")" -noLogo -noColor -noAutoReporters -xml "$results/$suite.$place.xml" "$@" ||
    echo "== $suite ($place): exit code $?"
  echo "== $suite ($place): $((SECONDS - started)) s"
}

# An attribute of the <assembly> element in a results file, a number; 0 if there is none.
count() { # ATTRIBUTE FILE
  local number
  number=$(grep -o '<assembly [^>]*>' "$2" | grep -o " $1=\"[0-9]*\"" | grep -o '[0-9]*') || number=0
  echo "$number"
}

passed=0 failed=0 skipped=0
summarise() { # PLACE SUITE...
  local place=$1 suite file
  shift
  for suite; do
    file=$results/$suite.$place.xml
    if ! grep -q '</assemblies>' "$file" 2> /dev/null; then
      say "$suite ($place): the test program ended without results; counted as one failure"
      failed=$((failed + 1))
      continue
    fi
    passed=$((passed + $(count passed "$file")))
    failed=$((failed + $(count failed "$file") + $(count errors "$file")))
    skipped=$((skipped + $(count skipped "$file")))
  done
}

slowest() {
  echo "slowest tests:"
  { cat "$results"/*.xml 2> /dev/null || true; } | { grep -o '<test [^>]*>' || true; } |
    sed -n 's/.* name="\([^"]*\)".* time="\([0-9.]*\)".*/\2 s  \1/p' | sort -rn | sed -n 's/^/  /;1,10p'
}

run_tests() {
  local wanted=() options=() strict=() suites=() host_suites=() guest_suites=() suite name
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
  prepare rdma test
  [[ " ${suites[*]} " != *" RdmaMigration.Packaging.Tests "* ]] || install_packages package packaging
  if [[ ${CI:-} == true ]]; then
    # A test that is skipped in CI proves nothing, so it counts as a failure there.
    strict=(-failSkips)
    ((!EUID)) || fail "with CI=true, test needs root: packages are installed on a plain Debian, and the Docker engine is started"
    # The check takes one core for minutes; peers and image mostly wait for the network.
    local checking=
    if ((${#wanted[@]} == 0)); then
      check &
      checking=$!
    fi
    [[ " ${suites[*]} " != *" RdmaMigration.Interop.Tests "* ]] || peers
    [[ " ${suites[*]} " != *" RdmaMigration.Packaging.Tests "* ]] || packaging/clean-root make
    if [[ " ${suites[*]} " == *" RdmaMigration.SoftRoce.Tests "* ]]; then
      start_engine
      image
    fi
    [[ -z $checking ]] || wait "$checking"
  else
    find_engine || true
  fi
  if ((${#wanted[@]} == 0)); then build; else build_suites "${suites[@]}"; fi
  [[ " ${suites[*]} " != *" RdmaMigration.Packaging.Tests "* ]] || packaging/package deb tarball
  [[ ${CI:-} != true || " ${suites[*]} " != *" RdmaMigration.SoftRoce.Tests "* ]] || image service
  rm -rf "$results"
  mkdir -p "$results"

  for suite in "${suites[@]}"; do
    local found=0
    if selects "$suite" -trait- needs=rdma "${options[@]}"; then host_suites+=("$suite") found=1; fi
    if selects "$suite" -trait needs=rdma "${options[@]}"; then guest_suites+=("$suite") found=1; fi
    if ((!found && ${#options[@]} == 0)); then
      say "$suite has no test; counted as one failure"
      failed=$((failed + 1))
    fi
  done

  for suite in "${guest_suites[@]}"; do publish_suite "$suite"; done

  # Makes the guest now, so that the messages about it do not appear in the output that the rig's tests look at.
  [[ " ${suites[*]} " != *" RdmaMigration.SoftRoce.Tests "* ]] || "$softroce" build
  # The rig's tests mostly wait for guests of their own, so they run beside the tests in the guest. Their output follows that of the guest.
  local beside=RdmaMigration.SoftRoce.Tests beside_log=$results/SoftRoce.log beside_process=''
  for suite in "${host_suites[@]}"; do
    [[ $suite == "$beside" ]] || run_suite "$suite" host -trait- needs=rdma "${strict[@]}" "${options[@]}"
  done
  if [[ " ${host_suites[*]} " == *" $beside "* ]]; then
    run_suite "$beside" host -trait- needs=rdma "${strict[@]}" "${options[@]}" &> "$beside_log" &
    beside_process=$!
  fi
  if ((${#guest_suites[@]})); then
    echo "== in the guest: ${guest_suites[*]}"
    {
      declare -f run_suite program_of rdmamig_from_memory
      declare -p results strict options
      echo rdmamig_from_memory
      # shellcheck disable=SC2016
      printf 'for suite in %s; do run_suite "$suite" guest -trait needs=rdma "${strict[@]}" "${options[@]}"; done\n' "${guest_suites[*]}"
    } > "$results/in-guest"
    "$softroce" run --memory "${SOFTROCE_MEMORY:-4096}" --timeout "$guest_seconds" -- bash "$results/in-guest" || say "the guest ended with exit code $?"
  fi
  [[ -z $beside_process ]] || wait "$beside_process"
  [[ ! -f $beside_log ]] || cat "$beside_log"

  summarise host "${host_suites[@]}"
  summarise guest "${guest_suites[@]}"
  slowest
  echo "$passed passed, $failed failed, $skipped skipped"
  ((failed == 0 && passed > 0))
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
