/** A file of the driver that has no types of its own. */
declare module "mongodb/lib/cmap/connection.js" {
  export const Connection: { readonly prototype: object };
}
