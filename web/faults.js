/** GraphQL errors as sentences. */

/**
 * One line for each error: its code, what it says, and where in the answer it stands.
 *
 * @param {import("./client.js").GraphQLError[]} errors
 */
export function faultText(errors) {
  return errors.map((error) => {
    const { message, path, locations, extensions } = error;
    const where = path?.length ? `at ${path.join(".")}` : placeOf(locations);
    const code = extensions?.code;
    const head = code && where ? `${code} (${where})` : code || where;
    const faults = (extensions?.faults ?? []).map(faultLine);
    return [head ? `${head}: ${message}` : message, ...faults].join("\n");
  }).join("\n");
}

/** The code of the first error that has one. */
export function faultCode(errors) {
  return errors.find((error) => error.extensions?.code)?.extensions.code;
}

function placeOf(locations) {
  const first = locations?.[0];
  return first && `line ${first.line}, column ${first.column}`;
}

function faultLine({ path, message }) {
  return `  ${path?.length ? `${path.join(".")}: ` : ""}${message}`;
}
