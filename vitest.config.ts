import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/fixtures/own-state.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    coverage: {
      provider: 'v8',
      include: ['machines/**/*.ts', 'actors/**/*.ts', 'adapters/**/*.ts', 'index.ts'],
      reporter: ['text-summary'],
    },
  },
});
