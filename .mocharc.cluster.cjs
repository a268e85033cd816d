// Tests on a real API server. CLUSTER_TESTS=1/2 and 2/2: the one half of the files and the other, each with a cluster of its own, so that they can
// run side by side (scripts/test.js).
const { globSync } = require('node:fs')

const [part, parts] = (process.env.CLUSTER_TESTS ?? '1/1').split('/').map(Number)

module.exports = {
  spec: globSync('dist/test/cluster/**/*.test.js')
    .toSorted()
    .filter((_, index) => index % parts === part - 1),
  require: ['./dist/test/cluster/shared.js'],
  'node-option': ['enable-source-maps', 'disable-warning=ExperimentalWarning'],
  exit: true,
  forbidOnly: true,
  failZero: true,
  timeout: 120_000,
}
