import js from '@eslint/js';
import tseslint from 'typescript-eslint';

const impure = [
  { name: 'setTimeout', message: 'Take time from the Clock port.' },
  { name: 'setInterval', message: 'Take time from the Clock port.' },
  { name: 'setImmediate', message: 'Take time from the Clock port.' },
  { name: 'fetch', message: 'Requests belong in adapters/.' },
  { name: 'process', message: 'The process belongs to adapters/.' },
];
const impureProperties = [
  { object: 'Date', property: 'now', message: 'Take time from the Clock port.' },
  { object: 'Math', property: 'random', message: 'Take randomness from the options.' },
  { object: 'performance', property: 'now', message: 'Take time from the Clock port.' },
];

export default tseslint.config(
  { ignores: ['dist', 'coverage', '**/*.cjs', 'eslint.config.js'] },
  js.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidOperator: true, ignoreVoidReturningFunctions: true },
      ],
      '@typescript-eslint/no-meaningless-void-operator': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-invalid-void-type': 'off',
      'no-restricted-exports': ['error', { restrictDefaultExports: { direct: true } }],
      eqeqeq: 'error',
      'max-lines': ['error', { max: 300, skipBlankLines: true, skipComments: true }],
      'no-empty': ['error', { allowEmptyCatch: false }],
    },
  },
  {
    files: ['**/*.mjs'],
    ...tseslint.configs.disableTypeChecked,
    languageOptions: {
      parserOptions: { projectService: false, program: null, project: false },
      globals: { process: 'readonly', Buffer: 'readonly', URL: 'readonly', setTimeout: 'readonly' },
    },
  },
  {
    files: ['machines/**', 'actors/**', 'index.ts'],
    ignores: ['actors/defaults/**'],
    rules: {
      'no-restricted-globals': ['error', ...impure],
      'no-restricted-properties': ['error', ...impureProperties],
    },
  },
  {
    files: ['test/**', '*.config.ts'],
    rules: {
      'max-lines': 'off',
      'no-restricted-exports': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    files: ['test/model/**'], // XState types the context of any machine as any.
    rules: {
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
);
