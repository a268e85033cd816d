/** `drawbridge seccomp-sync`: keeps the seccomp profiles of one node as a folder says, and reports which it has. Runs on every node, as a DaemonSet. */
import { connect, ownNamespace } from './adapters/kubernetes/cluster.ts'
import { readOwnNode, writeReport } from './adapters/kubernetes/nodeReport.ts'
import type { OwnNode } from './adapters/kubernetes/nodeReport.ts'
import { readFolder, readWantedProfiles, removeProfile, writeProfile, writeRecord } from './adapters/seccompFolder.ts'
import { REPORT_SECONDS, REPORTS_NAMESPACE } from './kube/nodeReport.ts'
import { createLogger } from './observe/logger.ts'
import { createSeccompSyncObserver } from './observe/seccompSync.ts'
import type { SeccompSyncObserver } from './observe/seccompSync.ts'
import { planFolder } from './seccomp/plan.ts'
import type { Digests } from './seccomp/plan.ts'
import { profileName } from './seccomp/profileFile.ts'

export interface SeccompSyncOptions {
  /** The profiles that are wanted, for example a mounted ConfigMap. */
  readonly profiles: string
  /** `seccomp/drawbridge` below the kubelet's root. */
  readonly folder: string
}

/** The kubelet brings a changed ConfigMap after up to a minute; looking is cheap. */
const LOOK_MILLISECONDS = 5000
const REPORT_MILLISECONDS = (REPORT_SECONDS * 1000) / 4

/**
 * One look: says what the node will have, then makes it so.
 * @param report called before anything is taken away, and with what is really there afterwards
 */
export async function syncOnce(
  { profiles, folder }: SeccompSyncOptions,
  observer: SeccompSyncObserver,
  report: (installed: Digests) => Promise<void>,
): Promise<void> {
  const given = await readWantedProfiles(profiles)
  const before = await readFolder(folder, given.digests.keys())
  // A slip in the ConfigMap must not take a profile away from every node, and with it the containers that restart: the last good one stays.
  const stays = (name: string): boolean => before.owned.has(name) && before.owned.get(name) === before.files.get(name)
  const kept = new Map([...before.owned].filter(([name]) => given.unusable.has(name) && stays(name)))
  const wanted = new Map([...given.digests, ...kept])
  const plan = planFolder(wanted, before)
  observer.problems([
    ...given.problems,
    ...[...given.unusable].map(
      ([name, problem]) => `${name}: ${problem}${kept.has(name) ? '; the last good one stays' : ''}`,
    ),
    ...plan.foreign.map((name) => `${name}: a file of somebody else's is in its place`),
  ])
  let failure: unknown
  if (plan.write.length + plan.remove.length > 0) {
    // What goes is reported gone first: a pod that is admitted now must not be told to use it. What is replaced is there at every moment.
    const replaced = new Map(
      [...wanted.keys()].flatMap((name) => (stays(name) ? [[name, before.owned.get(name)!]] : [])),
    )
    await report(new Map([...installed(replaced, before.files), ...installed(wanted, before.files)]))
    await writeRecord(folder, new Map([...before.owned, ...plan.owned]))
    for (const name of plan.write)
      // What is in the way of one must not keep the others out.
      await writeProfile(folder, name, given.texts.get(name)!).catch((error: unknown) => (failure ??= error))
    for (const name of plan.remove) await removeProfile(folder, name)
    await writeRecord(folder, plan.owned)
    if (failure === undefined) observer.synced(plan.write, plan.remove)
  }
  const after = await readFolder(folder, wanted.keys())
  await report(installed(wanted, after.files))
  if (failure !== undefined) throw failure
}

/** Profiles, by name, whose file says what is wanted. */
const installed = (wanted: Digests, files: Digests): Digests =>
  new Map([...wanted].flatMap(([file, digest]) => (files.get(file) === digest ? [[profileName(file)!, digest]] : [])))

/** Runs until `stop`. A look that fails is logged and tried again; its report expires meanwhile, so no pod is told to use what may be missing. */
export function startSeccompSync(options: SeccompSyncOptions): { stop(): Promise<void> } {
  const observer = createSeccompSyncObserver(createLogger({ level: 'info', thread: 'seccomp-sync' }))
  const client = connect(undefined)
  const namespace = ownNamespace(undefined, REPORTS_NAMESPACE)
  const said = { text: '', at: -Infinity }
  let node: OwnNode | undefined
  const report = async (profiles: Digests): Promise<void> => {
    const text = JSON.stringify([...profiles])
    if (text === said.text && performance.now() - said.at < REPORT_MILLISECONDS) return
    node ??= await readOwnNode(client)
    await writeReport(client, namespace, node, profiles, Date.now())
    said.text = text
    said.at = performance.now()
  }
  const loop: { stopped: boolean; timer?: NodeJS.Timeout; looking: Promise<void> } = {
    stopped: false,
    looking: Promise.resolve(),
  }
  const look = (): void => {
    loop.looking = syncOnce(options, observer, report)
      .catch((error: unknown) => observer.failed(error))
      .then(() => {
        if (!loop.stopped) loop.timer = setTimeout(look, LOOK_MILLISECONDS)
      })
  }
  look()
  return {
    async stop() {
      loop.stopped = true
      clearTimeout(loop.timer)
      await loop.looking
      client.close()
    },
  }
}
