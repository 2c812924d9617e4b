import { MongoClient } from "mongodb";

/** Stores an order, and puts the mail about it into the outbox. */
export async function placeOrder(uri, number) {
  const client = await MongoClient.connect(uri);
  try {
    const shop = client.db("shop");
    await shop.collection("orders").insertOne({ _id: number, status: "new" });
    await shop.collection("outbox").insertOne({ _id: `order-${number}`, to: "the customer" });
  } finally {
    await client.close();
  }
}
