import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["static/dist/**", "static/dist-tests/**", "static/dist.new/**"] },
  ...tseslint.configs.strict,
  {
    files: ["static/src/**/*.ts"],
    rules: {
      "@typescript-eslint/no-non-null-assertion": "off",
      "no-restricted-globals": ["error", "event", "name"],
      "no-eval": "error",
      "no-implied-eval": "error",
    },
  },
);
