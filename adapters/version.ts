/** This package's version, as agents are told. */
export const VERSION = '0.1.0';
