/**
 * jq as a shell function that needs only Node, for machines without jq. It supports what the documents use: paths,
 * `==`, `| length`, several filters separated by commas, `-r` and `-e`. Like jq 1.6, it succeeds without output if
 * its input is empty, even with `-e`.
 */
export const JQ = `jq() {
  node -e '
    const input = require("fs").readFileSync(0, "utf8");
    if (input.trim() === "") process.exit();
    const it = JSON.parse(input);
    const [filter, ...options] = process.argv.slice(1).reverse();
    const found = filter.split(", ").map((path) => eval("it" + path.replace(" | length", ".length")) ?? null);
    const has = (letter) => options.some((option) => option.startsWith("-") && option.includes(letter));
    for (const one of found) console.log(has("r") && typeof one === "string" ? one : JSON.stringify(one));
    if (has("e") && [null, false].includes(found.at(-1))) process.exitCode = 1;
  ' -- "$@"
}`;
