/** Begins the pages: preferences, address, keys, session, then the shell. */
import { render } from "preact";
import { begin } from "./api/session";
import { startKeyboard } from "./keyboard";
import { startClock } from "./lib/time";
import { startLook } from "./look";
import { startRouter } from "./router";
import { Shell } from "./shell";

startLook();
startRouter();
startKeyboard();
startClock();
render(<Shell />, document.getElementById("app") as HTMLElement);
void begin();
