/** The driver's files without types of their own that driver-patches.ts patches. */
declare module "mongodb/lib/cmap/connection.js" {
  export const Connection: { readonly prototype: object };
  export const SizedMessageTransform: { readonly prototype: object };
}

declare module "mongodb/lib/cmap/commands.js" {
  export const OpMsgRequest: { readonly prototype: object };
}

declare module "mongodb/lib/cmap/wire_protocol/responses.js" {
  export const MongoDBResponse: { readonly prototype: object };
}
