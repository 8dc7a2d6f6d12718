import { createHash, randomBytes } from "node:crypto";
import { z } from "zod";
import type { Caller } from "../../auth/caller.ts";
import { ServiceError } from "../../errors.ts";
import type { Document, Documents } from "../../records/documents.ts";
import type { LoginAttempts } from "../../records/login-attempts.ts";
import { Turns } from "../../records/turns.ts";
import { AccountError, FormErrors } from "./errors.ts";
import { hashPassword, passwordFits } from "./passwords.ts";

const USERS = "views_users";
const TOKENS = "views_tokens";
/** Logins and registrations that wait for their turn; who comes after these would wait for longer than a page does. */
const MAX_IN_LINE = 16;

const userData = z.object({
  email: z.string(),
  username: z.string(),
  first_name: z.string(),
  last_name: z.string(),
  /** None for callers who come with a key or from this machine. */
  password: z.string().optional(),
});

export interface User {
  id: number;
  email: string;
  username: string;
  first_name: string;
  last_name: string;
}

export interface Registration {
  email: string;
  password: string;
  username: string;
  first_name: string;
  last_name: string;
}

/** The views service's own users and their tokens. Whoever comes with a key, or without one on loopback, has a user too. */
export class Accounts {
  readonly #documents: Documents;
  readonly #attempts: LoginAttempts;
  readonly #turns = new Turns();
  #inLine = 0;

  constructor(documents: Documents, attempts: LoginAttempts) {
    this.#documents = documents;
    this.#attempts = attempts;
  }

  /** Raises FormErrors for an address that is taken, and `rate_limited` when too many come at once. */
  async register(registration: Registration): Promise<User> {
    return await this.#inTurn(async () => await this.#register(registration));
  }

  /** Raises AccountError for a wrong address or password, in the same words and time, and `rate_limited` when too many come at once. */
  async login(email: string, password: string): Promise<User> {
    return await this.#inTurn(async () => await this.#login(email, password));
  }

  /** Hashing takes a tenth of a second, 32 MB, and one of the four threads that files and pictures are read on: one at a time. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#inLine >= MAX_IN_LINE)
      throw new ServiceError("rate_limited", "Too many log in at once; try again in some seconds.", { retryAfter: 5 });
    this.#inLine++;
    try {
      return await this.#turns.run(work);
    } finally {
      this.#inLine--;
    }
  }

  async #register({ password, ...user }: Registration): Promise<User> {
    const owner = user.email.toLowerCase();
    const data = { ...user, password: await hashPassword(password) };
    const taken = new FormErrors({ email: ["A user with this email already exists."] });
    // Of two who register one address at the same time, the first stays.
    const made = await this.#documents.insertOnly(USERS, owner, data);
    if (!made) throw taken;
    return viewUser(made);
  }

  async #login(email: string, password: string): Promise<User> {
    const owner = email.toLowerCase();
    if (!(await this.#attempts.begin(owner))) throw new AccountError(429, "Too many wrong passwords; try again in 15 minutes.");
    const found = await this.#user(owner);
    const stored = found && userData.parse(found.data).password;
    if (!(await passwordFits(password, stored)) || !found) throw new AccountError(401, "Invalid credentials");
    await this.#attempts.succeed(owner);
    return viewUser(found);
  }

  /** A new token; only its hash is kept. */
  async issue(user: User): Promise<string> {
    const token = randomBytes(20).toString("hex");
    await this.#documents.insert(TOKENS, hashOf(token), { user: user.id });
    return token;
  }

  async revoke(token: string): Promise<void> {
    for (const { id } of await this.#documents.find(TOKENS, { owner: hashOf(token), limit: 1 }))
      await this.#documents.remove(TOKENS, id);
  }

  /** Whoever holds a token, or undefined. */
  async callerOf(token: string): Promise<Caller | undefined> {
    if (!/^[0-9a-f]{40}$/.test(token)) return undefined;
    const [found] = await this.#documents.find(TOKENS, { owner: hashOf(token), limit: 1 });
    const user = found && (await this.#documents.get(USERS, Number(found.data.user)));
    return user && asOwner(ownerOf(user.id));
  }

  /** The user that a caller is. Callers of other kinds get one when they are seen first. */
  async userOf({ owner }: Caller): Promise<User> {
    const [, id] = /^views-(\d+)$/.exec(owner) ?? [];
    const own = id === undefined ? await this.#user(`caller:${owner}`) : await this.#documents.get(USERS, Number(id));
    if (own) return viewUser(own);
    const data = { email: `${owner}@localhost`, username: owner, first_name: "", last_name: "" };
    const made = await this.#documents.insertOnly(USERS, `caller:${owner}`, data);
    const user = made ?? (await this.#user(`caller:${owner}`));
    return user ? viewUser(user) : { id: 0, ...data };
  }

  async #user(owner: string): Promise<Document | undefined> {
    return (await this.#documents.find(USERS, { owner, limit: 1 })).at(0);
  }
}

function ownerOf(userId: number): string {
  return `views-${userId}`;
}

/** The caller whose things belong to an owner; limits of a key's do not hold for what it has already been allowed. */
export function asOwner(owner: string): Caller {
  return { owner, role: "user", ratePerMinute: undefined, quotaPicturesPerDay: undefined, contentCeiling: undefined };
}

function viewUser({ id, data }: Document): User {
  const { password: _, ...user } = userData.parse(data);
  return { id, ...user };
}

function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
