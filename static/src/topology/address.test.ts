import assert from "node:assert/strict";
import { test } from "node:test";
import { ids, joined } from "./address";

test("what is folded or hidden comes back from the address, whatever the values of labels are", () => {
  const chosen = ["app", "host:web-1", "group:h:label:depends_on=db,cache", "group:h:label:share=50%2C5%"];
  assert.deepEqual([...ids(joined(chosen))], chosen);
  assert.equal(joined(["app", "host:web-1"]), "app,host:web-1");
  assert.deepEqual([...ids(null)], []);
});
