/// <reference types="vite/client" />

/** Version of dcsend that this page belongs to, such as `0.2.0`. */
declare const __VERSION__: string;

/** The list of words of short codes, dcsend/signaling/words.txt, as build/words.ts packs it. */
declare const __WORDS__: string;
