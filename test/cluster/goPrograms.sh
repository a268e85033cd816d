# To be sourced: builds programs from their Go modules into $BIN, which lies outside the repository.
export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-buildvcs=false

install() { # name, package, linker flags: whole or not at all, also where two runs build at once
  [ -x "$BIN/$1" ] && return
  local start=$SECONDS draft made
  echo "building $1 (once) ..." >&2
  mkdir -p "$BIN"
  draft=$(mktemp -d "$BIN/.XXXXXX")
  GOBIN=$draft go install -trimpath -ldflags "-s -w ${3:-}" "$2" >&2
  made=("$draft"/*)
  mv -f "${made[0]}" "$BIN/$1"
  rmdir "$draft"
  echo "built $1 in $((SECONDS - start)) s" >&2
}
