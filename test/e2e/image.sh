#!/usr/bin/env bash
# Builds the image of the Dockerfile without a registry: image.sh ARCHIVE NAME writes a docker-archive with the image NAME.
# Its two bases cannot be pulled everywhere, so they are stood in for by images that are made here from this machine's own files:
#   build base     Node, npm and a busybox shell, in place of node:24-bookworm-slim
#   runtime base   /nodejs/bin/node, its libraries and a CA file, in place of distroless/nodejs24-debian12
# Everything else is the Dockerfile as it stands: npm ci, the bundle, what is copied, user, entry point.
# Needs buildah, busybox-static, npm and root. CA certificates, ~/.npmrc and npm's cache of this machine are used for `npm ci` and do not get into the image.
set -euo pipefail
archive=$1 name=$2
root=$(cd "$(dirname "$0")/../.." && pwd)
node=$root/node_modules/node/bin/node
work=$(mktemp -d)
# A storage of its own, deleted afterwards: nothing is left in the one of the person who runs this.
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
buildah() { command buildah --root "$work/storage" --runroot "$work/run" "$@"; }
trap 'buildah rm --all > /dev/null 2>&1 || true; rm -rf "$work"' EXIT

node_files() { # node_files FOLDER PATH: Node as PATH in FOLDER, with the libraries that it is linked against
  install -D "$node" "$1$2"
  ldd "$node" | grep -o '/[^ ]*\.so[^ ]*' | while read -r library; do install -D "$(realpath "$library")" "$1$library"; done
}

commit() { # commit FOLDER NAME [CONFIG...]: an image that holds a folder
  local container
  container=$(buildah from scratch)
  buildah copy --quiet "$container" "$1" / > /dev/null
  [ $# -lt 3 ] || buildah config "${@:3}" "$container"
  buildah commit --quiet "$container" "$2" > /dev/null
  buildah rm "$container" > /dev/null
  rm -rf "$1"
}

runtime=$work/runtime
node_files "$runtime" /nodejs/bin/node
mkdir -p "$runtime/etc" "$runtime/tmp"
chmod 1777 "$runtime/tmp"
printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n' > "$runtime/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' > "$runtime/etc/group"
commit "$runtime" localhost/runtime-base --user 65532

build=$work/build
node_files "$build" /usr/local/bin/node
npm=$(realpath "$(command -v npm)")
mkdir -p "$build"/{bin,usr/bin,tmp,root,etc,usr/local/lib/node_modules}
cp -a "${npm%/bin/*}" "$build/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$build/usr/local/bin/npm"
cp "$(command -v busybox)" "$build/busybox"
for applet in $("$build/busybox" --list); do ln -s /busybox "$build/bin/$applet"; done
ln -s /busybox "$build/usr/bin/env"
printf 'root:x:0:0:root:/root:/bin/sh\n' > "$build/etc/passwd"
environment=(--env PATH=/usr/local/bin:/bin)
if [ -n "${NODE_EXTRA_CA_CERTS:-}" ]; then
  cp "$NODE_EXTRA_CA_CERTS" "$build/etc/extra-ca.crt"
  environment+=(--env NODE_EXTRA_CA_CERTS=/etc/extra-ca.crt)
fi
[ ! -f ~/.npmrc ] || cp ~/.npmrc "$build/root/.npmrc"
commit "$build" localhost/build-base "${environment[@]}"

cache=$(npm config get cache 2> /dev/null)
mkdir -p "$cache"
buildah build --quiet --network host --volume "$cache:/root/.npm" --build-arg BUILD_BASE=localhost/build-base --build-arg RUNTIME_BASE=localhost/runtime-base \
  --tag "$name" --file "$root/Dockerfile" "$root" > /dev/null
rm -f "$archive"
buildah push --quiet "$name" "docker-archive:$archive:$name"
