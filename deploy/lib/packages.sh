# Sourced by deploy/quickstart and tests/run: installs Debian packages when they are missing, without asking anything.

# What building takes.
POSTERN_BUILD_PACKAGES="clang-19 lld-19 llvm-19 libclang-rt-19-dev cmake ninja-build pkg-config ccache
  liburing-dev libssl-dev librocksdb-dev libfmt-dev libcli11-dev nlohmann-json3-dev libidn2-dev
  libunbound-dev libtomlplusplus-dev libboost-dev libpsl-dev libhyperscan-dev libpcre2-dev"
# What the first run shows itself with: clients nobody here wrote.
POSTERN_SHOW_PACKAGES="swaks libnet-ssleay-perl openssl curl python3 ca-certificates procps"
# What tests and benches take on top: frameworks and peers.
POSTERN_TEST_PACKAGES="dovecot-lmtpd libgtest-dev libgmock-dev libbenchmark-dev clang-format-19 postfix iproute2 python3-yaml nsd ldnsutils
  python3-dkim valgrind"

# postern_install PACKAGE…: as root, or through sudo where that works without a question. Services that come with packages
# are not started: the tests run peers of their own, on addresses of their own.
postern_install() {
  missing=""
  for package in "$@"; do
    dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
  done
  [ -z "$missing" ] && return 0
  if [ "$(id -u)" = 0 ]; then as_root=""; elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then as_root="sudo -n"; else
    echo "These packages are missing and installing takes root (or sudo without a password):$missing" >&2
    return 1
  fi
  echo "Installing:$missing"
  policy=/usr/sbin/policy-rc.d made_policy=""
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null && $as_root chmod 755 "$policy" && made_policy=1
  fi
  log=$(mktemp) status=0
  {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 update &&
      $as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -y --no-install-recommends install $missing
  } </dev/null >"$log" 2>&1 || status=$?
  [ -n "$made_policy" ] && $as_root rm -f "$policy"
  if [ $status -ne 0 ]; then
    tail -n 30 "$log" >&2
    echo "Installing failed (apt-get's own words above; all of them in $log)." >&2
    return 1
  fi
  rm -f "$log"
}
