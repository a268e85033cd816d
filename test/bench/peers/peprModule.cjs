/** A Pepr module as `pepr build` would bundle it: refuses privileged containers, SYS_ADMIN, and containers that may run as root. */
const { a, Capability, containers, PeprModule } = require('pepr')

const capability = new Capability({ name: 'pods', description: 'What is measured', namespaces: [] })

/** @returns {string | undefined} what is wrong with a container */
function faultOf(container, podContext) {
  const context = container.securityContext ?? {}
  if (context.privileged === true) return 'is privileged'
  if (context.capabilities?.add?.includes('SYS_ADMIN')) return 'has SYS_ADMIN'
  if ((context.runAsNonRoot ?? podContext.runAsNonRoot) !== true) return 'may run as root'
  return undefined
}

capability
  .When(a.Pod)
  .IsCreated()
  .Validate((request) => {
    const podContext = request.Raw.spec?.securityContext ?? {}
    for (const container of containers(request)) {
      const fault = faultOf(container, podContext)
      if (fault !== undefined) return request.Deny(`container ${container.name} ${fault}`)
    }
    return request.Approve()
  })

const configuration = {
  description: 'Beside Drawbridge',
  pepr: {
    name: 'beside-drawbridge',
    uuid: '6f6ac9f5-6e5c-4d35-9d6a-0d4a3a0f1c11',
    onError: 'reject',
    alwaysIgnore: { namespaces: [], labels: [] },
  },
}

// Deferred only to choose the port.
new PeprModule(configuration, [capability], { deferStart: true }).start(Number(process.env.PORT))
