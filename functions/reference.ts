import { reference } from './routes/reference.ts';

/** The content of docs/openapi.json, without white space. The bundler replaces this identifier with that content. */
declare const OPENAPI_DOCUMENT: string;

/** Serves the API reference for clients: GET /errors and GET /openapi.json */
export const handler = reference(OPENAPI_DOCUMENT);
