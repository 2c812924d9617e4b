/** Faults of the servers, and of the network between them and between them and their clients. */

import type { Member, ReplicaSet } from "../mongod.ts";
import { type Proxy, startProxy } from "../../test/support/proxy.ts";
import type { Random } from "../lib/random.ts";

/** A proxy in front of each member, for clients and for the other members. */
export class Network implements AsyncDisposable {
  readonly proxies: Proxy[] = [];

  /** The option `advertise` of startReplicaSet. */
  readonly advertise = async (port: number): Promise<number> => {
    const proxy = await startProxy({ port });
    this.proxies.push(proxy);
    return proxy.port;
  };

  async [Symbol.asyncDispose](): Promise<void> {
    for (const proxy of this.proxies) await proxy[Symbol.asyncDispose]();
  }
}

const NAMES = ["stepDown", "kill", "suspend", "reset", "cut", "delay", "blackhole"] as const;
type Name = (typeof NAMES)[number];

export type FaultCounts = Record<string, number>;

/**
 * Injects one random fault, and resolves to its name when its cause is over, which may be before the set has recovered.
 */
export async function injectServerFault(
  set: ReplicaSet,
  network: Network,
  random: Random,
  counts: FaultCounts,
): Promise<Name> {
  const name = random.pick(NAMES);
  counts[name] = (counts[name] ?? 0) + 1;
  await inject(name, set, network, random);
  return name;
}

async function inject(name: Name, set: ReplicaSet, network: Network, random: Random): Promise<void> {
  switch (name) {
    case "stepDown":
      return set.stepDown().catch(() => undefined);
    case "kill":
      return killAndRestart(random.next() < 0.7 ? await set.primary() : random.pick(set.members), random);
    case "suspend":
      return suspend(random.next() < 0.5 ? await set.primary() : random.pick(set.members), random);
    case "reset":
      random.pick(network.proxies).resetAll();
      return;
    case "cut":
      random.pick(network.proxies).dropAfter(random.whole(200_000), { times: 3 });
      return;
    case "blackhole":
      return blackhole(random.pick(network.proxies), random);
    case "delay":
      return delay(random.pick(network.proxies), random);
  }
}

async function killAndRestart(member: Member, random: Random): Promise<void> {
  await member.kill("SIGKILL");
  await pause(random.between(500, 6000));
  await member.restart();
}

async function suspend(member: Member, random: Random): Promise<void> {
  member.suspend();
  await pause(random.between(500, 8000));
  member.resume();
}

async function blackhole(proxy: Proxy, random: Random): Promise<void> {
  proxy.blackhole(true);
  await pause(random.between(500, 8000));
  proxy.blackhole(false);
}

async function delay(proxy: Proxy, random: Random): Promise<void> {
  proxy.delay(random.between(20, 300));
  await pause(random.between(1000, 5000));
  proxy.delay(0);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
