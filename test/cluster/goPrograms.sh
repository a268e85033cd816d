# To be sourced by a script with `set -e`: builds programs from their Go modules into the folder $BIN, which lies outside the repository.
export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-buildvcs=false

install() { # name, package, linker flags: whole or not at all, also where two runs build at once
  [ -x "$BIN/$1" ] && return
  command -v go > /dev/null || { echo "building $1 needs Go >= 1.25 (https://go.dev/dl) and a Go module proxy" >&2; exit 1; }
  local start=$SECONDS draft made
  echo "building $1 (once) ..." >&2
  mkdir -p "$BIN"
  draft=$(mktemp -d "$BIN/.XXXXXX")
  GOBIN=$draft go install -trimpath -ldflags "-s -w ${3:-}" "$2" >&2 || { rm -rf "$draft"; exit 1; }
  # Go names it after its folder.
  made=("$draft"/*)
  mv -f "${made[0]}" "$BIN/$1"
  rmdir "$draft"
  echo "built $1 in $((SECONDS - start)) s" >&2
}
