import type { Attribute, Values } from "./types";

/** The values of a new region. */
export function defaults(attributes: readonly Attribute[]): Values {
  return Object.fromEntries(
    attributes.filter((one) => one.default !== null).map((one) => [one.name, one.default]),
  );
}

/** Whether the value is one of this attribute; the server says the same. */
export function fits(attribute: Attribute, value: unknown): boolean {
  switch (attribute.type) {
    case "checkbox":
      return typeof value === "boolean";
    case "number":
      return Number.isFinite(value);
    case "choice":
      return typeof value === "string" && attribute.choices.includes(value);
    case "text":
      return typeof value === "string" && value.length <= 1000;
  }
}

/** The required ones that have no value; an empty text is none. */
export function missing(attributes: readonly Attribute[], values: Values): Attribute[] {
  return attributes.filter(({ name, required }) => required && (values[name] ?? "") === "");
}

/** The values that are said by the attributes; all of them where there are none. */
export function fitting(attributes: readonly Attribute[], values: Values): Values {
  if (attributes.length === 0) return values;
  const known = new Map(attributes.map((one) => [one.name, one]));
  return Object.fromEntries(
    Object.entries(values).filter(([name, value]) => {
      const attribute = known.get(name);
      return attribute !== undefined && fits(attribute, value);
    }),
  );
}

/**
 * The values of a region that comes from a category with the attributes `from` to one with `to`:
 * what both say and what neither says stays, the rest has the defaults of `to`.
 */
export function carried(
  from: readonly Attribute[],
  to: readonly Attribute[],
  values: Values,
): Values {
  const said = new Set([...from, ...to].map(({ name }) => name));
  const free = Object.entries(values).filter(([name]) => !said.has(name));
  const both = to.length > 0 ? fitting(to, values) : {};
  return { ...Object.fromEntries(free), ...defaults(to), ...both };
}
