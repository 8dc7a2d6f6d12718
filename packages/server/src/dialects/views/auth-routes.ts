import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { credentialOf } from "../../auth/credentials.ts";
import { ServiceError } from "../../errors.ts";
import type { ServerContext } from "../../http/dialect.ts";
import { readForm } from "../read-form.ts";
import type { Accounts } from "./accounts.ts";
import { parseForm, REQUIRED } from "./errors.ts";

const MIN_PASSWORD = 8;
/** Hashing takes time by the character. */
const MAX_PASSWORD = 200;
const MAX_NAME = 150;
/** What anybody may send, who has no key yet: the fields above in full are 3 kB. */
const MAX_BODY = 64 * 1024;

const word = (most: number) =>
  z.string(REQUIRED).min(1, REQUIRED).max(most, `Ensure this field has no more than ${most} characters.`);
const name = z.string("Not a valid string.").max(MAX_NAME, `Ensure this field has no more than ${MAX_NAME} characters.`);

const loginSchema = z.object({ email: word(254), password: word(MAX_PASSWORD) });

const registerSchema = z
  .object({
    email: word(254).pipe(z.email("Enter a valid email address.")),
    password: word(MAX_PASSWORD).min(MIN_PASSWORD, `Ensure this field has at least ${MIN_PASSWORD} characters.`),
    password_confirm: z.string("Not a valid string.").nullish(),
    username: name.nullish(),
    first_name: name.nullish(),
    last_name: name.nullish(),
  })
  .superRefine(({ password, password_confirm }, context) => {
    if (password_confirm != null && password_confirm !== password)
      context.addIssue({ code: "custom", path: ["password_confirm"], message: "The passwords do not match." });
  });

/** Registering, logging in and out, and who one is. */
export function registerAuthRoutes(app: FastifyInstance, accounts: Accounts, context: ServerContext): void {
  const identify = (credential: string) => accounts.callerOf(credential);
  const open = context.settings.KILN_VIEWS_REGISTRATION;

  for (const slash of ["", "/"]) {
    app.post(`/api/auth/register${slash}`, { bodyLimit: MAX_BODY, config: { public: open } }, async (request, reply) => {
      if (!open && request.caller.role !== "admin")
        throw new ServiceError("forbidden", "Registering needs a key with the admin role, or KILN_VIEWS_REGISTRATION=true.");
      const { fields } = await readForm(request, []);
      const { email, password, username, first_name, last_name } = parseForm(registerSchema, fields);
      const user = await accounts.register({
        email,
        password,
        username: username ?? email.split("@")[0] ?? email,
        first_name: first_name ?? "",
        last_name: last_name ?? "",
      });
      return reply.code(201).send({ message: "Registration successful", user, token: await accounts.issue(user) });
    });

    app.post(`/api/auth/login${slash}`, { bodyLimit: MAX_BODY, config: { public: true } }, async (request) => {
      const { fields } = await readForm(request, []);
      const { email, password } = parseForm(loginSchema, fields);
      const user = await accounts.login(email, password);
      return { message: "Login successful", user, token: await accounts.issue(user) };
    });

    app.post(`/api/auth/logout${slash}`, { config: { identify } }, async (request) => {
      const token = credentialOf(request.headers, request.url);
      if (token !== undefined) await accounts.revoke(token);
      return { message: "Logout successful" };
    });

    app.get(`/api/auth/me${slash}`, { config: { identify } }, async (request) => {
      const user = await accounts.userOf(request.caller);
      return { ...user, user };
    });
  }
}
