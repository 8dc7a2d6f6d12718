import type { Dialect } from "../../http/dialect.ts";
import { registerControlNet } from "./controlnet-routes.ts";
import { A1111Error, sendA1111Error } from "./errors.ts";
import { registerExtras } from "./extras.ts";
import { registerGeneration } from "./generate.ts";
import { registerLists } from "./lists.ts";
import { OptionsStore, registerOptions } from "./options.ts";
import { registerProgress } from "./progress.ts";

/** AUTOMATIC1111's API with that of its ControlNet extension. */
export const a1111: Dialect = {
  name: "a1111",
  register(app, context) {
    app.setErrorHandler(sendA1111Error);
    const options = new OptionsStore(context);
    registerOptions(app, context, options);
    registerGeneration(app, context, options);
    registerProgress(app, context);
    registerLists(app, context, options);
    registerExtras(app);
    registerControlNet(app, context);
    // Clients tell a server without an extension by this text.
    for (const base of ["/sdapi", "/controlnet", "/internal"]) {
      app.all(`${base}/*`, async () => {
        throw new A1111Error(404, "Not Found");
      });
    }
  },
};
