import assert from "node:assert/strict";
import { test } from "node:test";
import { holds } from "./kept";

test("an answer that does not hold what was asked for is known", () => {
  assert.equal(holds('<form method="post" id="maker" class="maker">', "#maker"), true);
  assert.equal(holds('<main><h1>Sign in</h1><form id="maker-two"></form></main>', "#maker"), false);
  assert.equal(holds("<h1>502 Bad Gateway</h1>", "#list"), false);
});
