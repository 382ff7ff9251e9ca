export { memoryStore } from '../../actors/defaults/memory-store.ts';
export { sqliteStore } from './sqlite-store.ts';
export type { SqliteStoreOptions } from './sqlite-store.ts';
