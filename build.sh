#!/bin/bash
# Builds, shows, tests and measures RdmaMigration. ./build.sh help lists what there is.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")"

export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
# The SDK runs without ICU when told so, and then wonders about the languages of its packages.
compgen -G '/usr/lib/*/libicuuc.so.*' > /dev/null || export DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 MSBuildWarningsAsMessages=NETSDK1188
softroce=docker/softroce/softroce
results=.artifacts/test-results
# The guest's share of the whole suite's 40 minutes.
guest_seconds=2000

usage() {
  cat << 'HELP'
usage: ./build.sh build                        everything, and the program: .artifacts/publish/rdmamig
       ./build.sh demo                         a real QEMU's machine arrives over RDMA in a file, and is sent from it into a second QEMU
       ./build.sh test [SUITE]... [-- OPTION]  all tests, or those of the named suites (Verbs, Interop, ...);
                                               options go to each test program: -- -class '*RPing*'
       ./build.sh bench [COMMAND [OPTION]...]  figures beside a real QEMU and perftest; without a command a short matrix with plots
                                               (5 minutes), into .artifacts/bench; bench --help lists the commands
       ./build.sh bench --micro [OPTION]...    BenchmarkDotNet: zero scan and page path; needs no RDMA
       ./build.sh clean                        removes what was built
       ./build.sh help                         this text

Needs Debian 12 or later on x86-64 and the .NET 10 SDK. Debian packages that are missing are installed (as root or with sudo).
Where the machine has no RDMA device, tests that need one run in a guest with soft-RoCE: docker/softroce/README.md.
HELP
}

say() { printf '%s\n' "build.sh: $*" >&2; }
fail() { say "$@"; exit 1; }

packages=(
  ca-certificates                                # NuGet over https
  gcc libc6-dev zlib1g-dev cmake make            # native/ and Native AOT
  libibverbs-dev librdmacm-dev                   # headers that native/ is compiled against
  ibverbs-providers rdma-core iproute2           # RDMA at run time
  ibverbs-utils rdmacm-utils perftest            # peers of the tests: ibv_devices, rping, ib_write_bw
  qemu-system-x86                                # peer of the tests, and what the guest runs in
  busybox-static kmod cpio                       # the guest's initramfs
  fonts-dejavu-core                              # plots
)

install_packages() {
  local missing=() package as_root=()
  for package in "${packages[@]}"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null) == installed ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  if ((EUID)); then
    if command -v sudo > /dev/null && { [[ -t 0 ]] || sudo -n true 2> /dev/null; }; then
      as_root=(sudo)
    else
      fail "Debian packages are missing; as root: apt-get install --no-install-recommends ${missing[*]}"
    fi
  fi
  say "installing ${missing[*]}"
  local log=.artifacts/apt.log get=(${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive apt-get -qq)
  mkdir -p .artifacts
  if ! "${get[@]}" install --no-install-recommends -y "${missing[@]}" > "$log" 2>&1; then
    { "${get[@]}" update && "${get[@]}" install --no-install-recommends -y "${missing[@]}"; } > "$log" 2>&1 ||
      { cat "$log" >&2; fail "apt-get could not install: ${missing[*]}"; }
  fi
}

need_sdk() {
  [[ ! -x $HOME/.dotnet/dotnet ]] || PATH=$PATH:$HOME/.dotnet
  if command -v dotnet > /dev/null && dotnet --list-sdks | grep -q '^10\.'; then return; fi
  fail "the .NET 10 SDK is missing. Get it with
  curl -fsSL https://dot.net/v1/dotnet-install.sh | bash -s -- --channel 10.0
which puts it into ~/.dotnet, where this script finds it; https://learn.microsoft.com/dotnet/core/install/linux-debian has it as packages."
}

prepare() {
  install_packages
  need_sdk
}

compile() { dotnet build "$1" -c Release -v quiet --tl:off; }

build() {
  prepare
  compile RdmaMigration.sln
  publish
}

# Only what these suites run.
build_suites() {
  local suite
  prepare
  for suite; do compile "tests/$suite"; done
  [[ " $* " != *.@(Interop|SoftRoce).Tests* ]] || publish
}

publish() {
  dotnet publish src/RdmaMigration.Cli -c Release -r linux-x64 -o .artifacts/publish -v quiet --tl:off
  say "built .artifacts/publish/rdmamig"
}

# A guest does not cache what lies in the repository, and starts rdmamig often: from its own memory, then. Called there.
rdmamig_from_memory() {
  [[ ${SOFTROCE:-} != host && -f .artifacts/publish/rdmamig ]] || return 0
  cp .artifacts/publish/rdmamig /dev/shm/ && export RDMAMIG=/dev/shm/rdmamig
}

guest_options=()

in_guest() {
  "$softroce" run --memory "${SOFTROCE_MEMORY:-4096}" "${guest_options[@]}" -- bash -c "$(declare -f rdmamig_from_memory)"$'\n''rdmamig_from_memory && exec "$@"' in-guest "$@"
}

demo() {
  build
  in_guest docker/softroce/demo "$@"
}

bench_program=.artifacts/bin/RdmaMigration.Bench/release/rdmamig-bench

bench() {
  prepare
  if [[ ${1:-} == --micro ]]; then
    shift
    (($#)) || set -- --filter '*'
    compile tests/RdmaMigration.Benchmarks
    "$(program_of RdmaMigration.Benchmarks)" --artifacts .artifacts/bench/micro "$@"
    return
  fi
  compile tests/RdmaMigration.Bench
  (($#)) || set -- matrix --sizes 32,128 --zero 0,90 --repeats 1
  # Plots are drawn where their font is: the guest has the host's files. Help and plots need no guest.
  case " $* " in
    *' --help '* | *' -h '* | ' plot '*) "$bench_program" "$@" ;;
    *)
      publish
      # CPU time is counted exactly where the kernel runs without a tick, which its first processor never does.
      [[ $1 != cpu ]] || guest_options=(--cpus 3 --append nohz_full=1,2)
      in_guest "$bench_program" "$@" ;;
  esac
}

program_of() { echo ".artifacts/bin/$1/release/$1"; }

# Whether a filter selects tests of a suite. A program that cannot say is run, so that what is wrong with it shows.
selects() { # SUITE FILTER...
  local suite=$1
  shift
  [[ $("$(program_of "$suite")" -noLogo -noColor -list methods/json "$@") != '[]' ]]
}

# Runs one suite and keeps its results. A runner that leaves none has crashed: the summary sees that there is no file.
run_suite() { # SUITE PLACE OPTION...
  local suite=$1 place=$2 started=$SECONDS
  shift 2
  echo "== $suite ($place)"
  "$(program_of "$suite")" -noLogo -noColor -noAutoReporters -xml "$results/$suite.$place.xml" "$@" ||
    echo "== $suite ($place): exit code $?"
  echo "== $suite ($place): $((SECONDS - started)) s"
}

# Attributes of a results file's <assembly> element: one number, 0 when absent.
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
      say "$suite ($place): the test program ended without results: counted as one failure"
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
  { cat "$results"/*.xml 2> /dev/null || true; } | { grep -o '<test [^>]*>' || true; } | sed -n 's/.* name="\([^"]*\)".* time="\([0-9.]*\)".*/\2 s  \1/p' | sort -rn | sed -n 's/^/  /;1,10p'
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
  if ((${#wanted[@]} == 0)); then build; else build_suites "${suites[@]}"; fi
  # A test that does not run in CI proves nothing there.
  [[ ${CI:-} != true ]] || strict=(-failSkips)
  rm -rf "$results"
  mkdir -p "$results"

  for suite in "${suites[@]}"; do
    local found=0
    if selects "$suite" -trait- needs=rdma "${options[@]}"; then host_suites+=("$suite") found=1; fi
    if selects "$suite" -trait needs=rdma "${options[@]}"; then guest_suites+=("$suite") found=1; fi
    if ((!found && ${#options[@]} == 0)); then
      say "$suite has no test: counted as one failure"
      failed=$((failed + 1))
    fi
  done

  # What the rig says while it makes its guest is not what its tests are about.
  [[ " ${suites[*]} " != *" RdmaMigration.SoftRoce.Tests "* ]] || "$softroce" build
  for suite in "${host_suites[@]}"; do
    run_suite "$suite" host -trait- needs=rdma "${strict[@]}" "${options[@]}"
  done
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
  build | demo | bench | clean) "$command" "$@" ;;
  test) run_tests "$@" ;;
  help | --help | -h) usage ;;
  *) usage >&2; exit 2 ;;
esac
