# syntax=docker/dockerfile:1
# Two stages: build the bundle with all tools, ship Node and the bundle alone.
# The bases are pinned by digest; `docker buildx imagetools inspect IMAGE` shows the current one when they are to be raised.
ARG BUILD_BASE=docker.io/library/node:24-bookworm-slim@sha256:6f7b03f7c2c8e2e784dcf9295400527b9b1270fd37b7e9a7285cf83b6951452d
ARG RUNTIME_BASE=gcr.io/distroless/nodejs24-debian12:nonroot@sha256:14d42e2511532589a7c7e01a753667a74fcc96266e137e8125006b87b0c32d0a

FROM ${RUNTIME_BASE} AS runtime

FROM ${BUILD_BASE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY . .
# The bill of materials names the Node that will run the bundle: that of the runtime base.
COPY --from=runtime /nodejs/bin/node /runtime-node
RUN npm run bundle -- --node "$(/runtime-node -p process.versions.node)"
# A volume takes over the owner of the folder that it is mounted on.
RUN mkdir /empty

FROM runtime
WORKDIR /app
COPY --from=build /src/package.json ./package.json
COPY --from=build /src/bin ./bin
COPY --from=build /src/dist/bundle ./dist/bundle
COPY --from=build /src/manifests ./manifests
COPY --from=build --chown=65532:65532 /empty /data
# Numeric, so that Kubernetes can check runAsNonRoot.
USER 65532:65532
# The only place that is written to; everything else works on a read-only root file system.
VOLUME /data
EXPOSE 8443 8444 8445
# Memory (docs/performance.md). All threads share one heap of malloc: in one of its own, what an alert thread had when its memory was full stays after its end, and the kernel then ends a container of 256 MiB.
# Young garbage of each thread may grow to 2 x 8 MiB: Node alone gives it 2 x 1 MiB in 512 MiB, so that reviews of 100 KB leave old garbage, and 2 x 32 where there is no limit.
ENV MALLOC_ARENA_MAX=1
# Node is process 1 and handles SIGTERM itself: no shell, no init. The first flag: no debugger on a signal.
ENTRYPOINT ["/nodejs/bin/node", "--disable-sigusr1", "--max-semi-space-size=8", "/app/bin/drawbridge.js"]
CMD ["serve", "--data", "/data", "--host", "0.0.0.0"]
