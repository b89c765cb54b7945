import assert from "node:assert/strict";
import { test } from "node:test";
import { at } from "./own_host";

const US = "http://console.example:8000";

test("an address that names no host is given one", () => {
  assert.equal(at("web-1", `${US}/containers/web/remove/?a=b#c`, US), "/@web-1/containers/web/remove/?a=b#c");
  assert.equal(at("web-1", `${US}/`, US), "/@web-1/");
  assert.equal(at("hé", "/drift/", US), "/@h%C3%A9/drift/");
});

test("what names one, what cannot and what is elsewhere stays", () => {
  for (const address of ["/@web-2/drift/", "/@*/", "/api/docs/", "/static/x.css", "https://elsewhere.example/drift/", "mailto:a@b.example"]) assert.equal(at("web-1", address, US), null);
});
