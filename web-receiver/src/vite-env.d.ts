/// <reference types="vite/client" />

/** Version of dcsend that this page belongs to, such as `0.2.0`. */
declare const __VERSION__: string;
