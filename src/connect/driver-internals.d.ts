/** Files of the driver that have no types of their own: what is mended of them. */
declare module "mongodb/lib/cmap/connection.js" {
  export const Connection: { readonly prototype: object };
  export const SizedMessageTransform: { readonly prototype: object };
}

declare module "mongodb/lib/cmap/wire_protocol/responses.js" {
  export const MongoDBResponse: { readonly prototype: object };
}
