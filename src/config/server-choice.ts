/** Which of several ways to name the server holds, who logs in there, and how it is talked to. */

/** Who said something: a flag wins over a variable, a variable over the config file. */
export type Level = "flag" | "env" | "file" | "default";

/** A value as it was given, and where: `--uri`, `MONGOTAP_URI` or `flow.yaml:3: uri`. */
export interface RawSetting {
  readonly text: string;
  readonly from: string;
  readonly level: Level;
  /** Not to be shown when it is wrong. */
  readonly secret?: boolean;
}

export interface ServerChoice {
  readonly kind: "uri" | "uriFile" | "address";
  readonly at: RawSetting;
  readonly user?: RawSetting;
  readonly password?: RawSetting;
  readonly passwordFile?: RawSetting;
  readonly compressors?: RawSetting;
}

/** Everything given for one setting, in no particular order. */
type GivenFor = (
  name: "uri" | "uriFile" | "address" | "user" | "password" | "passwordFile" | "compressors",
) => readonly RawSetting[];

const LEVELS: readonly Level[] = ["flag", "env", "file"];
const SERVERS = ["uri", "uriFile", "address"] as const;
const PASSWORDS = ["password", "passwordFile"] as const;

/**
 * Chooses the server of the highest level, and its login. The login of a config file belongs to the server of that file:
 * it is never sent to one that a flag or variable names. `fault` is told of what is said twice, `note` of what is left out.
 */
export function chooseServer(
  given: GivenFor,
  fallback: string,
  fault: (message: string) => void,
  note: (message: string) => void,
): ServerChoice {
  const server = oneAtTheTop(SERVERS, given, "name the server", fault);
  const kind = server?.name ?? "uri";
  const at = server?.given ?? { text: fallback, from: "the default of --uri", level: "default" };
  const found = oneAtTheTop(PASSWORDS, given, "give the password", fault);
  const user = oneAtTheTop(["user"] as const, given, "", fault)?.given;
  const compressors = oneAtTheTop(["compressors"] as const, given, "", fault)?.given;
  const isElsewhere = (login: RawSetting | undefined): boolean =>
    login?.level === "file" && (at.level === "flag" || at.level === "env");
  if (isElsewhere(user) || isElsewhere(found?.given)) {
    note(`${at.from} names another server than the config file: user and password of the file are not used for it`);
  } else if (at.level === "env" && SERVERS.some((name) => given(name).some(({ level }) => level === "file"))) {
    note(`${at.from} names the server: the one in the config file is not used`);
  }
  return {
    kind,
    at,
    ...(user === undefined || isElsewhere(user) ? {} : { user }),
    ...(found === undefined || isElsewhere(found.given) ? {} : { [found.name]: found.given }),
    ...(compressors === undefined ? {} : { compressors }),
  };
}

function oneAtTheTop<N extends Parameters<GivenFor>[0]>(
  names: readonly N[],
  given: GivenFor,
  what: string,
  fault: (message: string) => void,
): { readonly name: N; readonly given: RawSetting } | undefined {
  for (const level of LEVELS) {
    const found = names.flatMap((name) =>
      given(name)
        .filter((value) => value.level === level)
        .map((value) => ({ name, given: value })),
    );
    if (found.length > 1) fault(`${found.map((f) => f.given.from).join(" and ")} both ${what}: say one of them`);
    if (found[0] !== undefined) return found[0];
  }
  return undefined;
}
