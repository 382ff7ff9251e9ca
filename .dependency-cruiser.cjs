/** The layers of the project: what may import what. Each rule was seen to catch a violation. */
const adapterFolders = ['process', 'opencode', 'acp', 'store', 'worktrees'];

module.exports = {
  forbidden: [
    {
      name: 'policies-import-nothing',
      comment: 'Policies are pure decisions: they import only each other.',
      severity: 'error',
      from: { path: '^machines/policies/' },
      to: { pathNot: '^machines/policies/' },
    },
    {
      name: 'machines-import-only-xstate',
      comment: 'Charts say what happens when; they know no I/O, no clock and no other layer.',
      severity: 'error',
      from: { path: '^machines/' },
      to: { pathNot: ['^machines/', '^node_modules/xstate/'] },
    },
    {
      name: 'actors-import-only-machines-and-xstate',
      comment: 'The bridge between charts and ports knows no adapter, no SDK and no Node.',
      severity: 'error',
      from: { path: '^actors/' },
      to: { pathNot: ['^actors/', '^machines/', '^node_modules/xstate/'] },
    },
    {
      name: 'ports-and-contract-are-types',
      comment: 'The contract and the ports hold no behaviour: they import types only.',
      severity: 'error',
      from: { path: '^actors/(contract/|ports/|ports\\.ts$)' },
      to: { dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'adapters-know-ports-errors-and-validation',
      comment: 'An adapter implements ports. Of the actors it knows their types, the errors and the option checks.',
      severity: 'error',
      from: { path: '^adapters/' },
      to: {
        path: '^(actors|machines|index\\.ts)',
        pathNot: '^actors/(ports|errors|validation|mcp-server-shape|defaults/memory-store)\\.ts$',
      },
    },
    {
      name: 'store-entry-offers-the-store-in-memory',
      comment: 'Both stores come from one entry; no adapter builds on the one in memory.',
      severity: 'error',
      from: { path: '^adapters/', pathNot: '^adapters/store/index\\.ts$' },
      to: { path: '^actors/defaults/' },
    },
    {
      name: 'adapters-use-only-types-of-ports',
      comment: 'Ports are types.',
      severity: 'error',
      from: { path: '^adapters/' },
      to: { path: '^actors/ports\\.ts$', dependencyTypesNot: ['type-only'] },
    },
    ...adapterFolders
      .filter((folder) => folder !== 'process')
      .map((folder) => ({
        name: `adapters-${folder}-knows-no-other-adapter`,
        comment: 'Adapters do not import each other; process/ and the files beside the folders are shared.',
        severity: 'error',
        from: { path: `^adapters/${folder}/` },
        to: { path: '^adapters/', pathNot: `^adapters/((${folder}|process)/|[^/]+\\.ts$)` },
      })),
    {
      name: 'process-knows-no-other-adapter',
      comment: 'What all adapters share depends on none of them.',
      severity: 'error',
      from: { path: '^adapters/process/' },
      to: { path: '^adapters/', pathNot: '^adapters/process/' },
    },
    {
      name: 'shared-adapter-files-know-no-adapter',
      comment: 'What stands beside the adapters knows none of them.',
      severity: 'error',
      from: { path: '^adapters/[^/]+\\.ts$' },
      to: { path: '^adapters/[^/]+/', pathNot: '^adapters/process/' },
    },
    {
      name: 'index-loads-no-adapter',
      comment: 'A host passes its backends in, so that an SDK is loaded only where it is used.',
      severity: 'error',
      from: { path: '^index\\.ts$' },
      to: { path: '^(adapters/|node_modules/)' },
    },
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'no-tests-in-the-product', severity: 'error', from: { pathNot: '^test/' }, to: { path: '^test/' } },
    { name: 'no-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: 'specify',
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
