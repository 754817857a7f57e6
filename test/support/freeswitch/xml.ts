export interface XmlElement {
  name: string;
  attributes: Record<string, string>;
  children: XmlElement[];
  line: number;
}

const NAME = '[A-Za-z_:][\\w:.-]*';
const token = new RegExp(
  `<!--(?<comment>(?:(?!--)[^])*)-->|<\\?(?<instruction>(?:(?!\\?>)[^])*)\\?>|</(?<closing>${NAME})\\s*>|` +
    `<(?<opening>${NAME})(?<attributes>(?:\\s+${NAME}\\s*=\\s*(?:"[^"<]*"|'[^'<]*'))*)\\s*(?<empty>/?)>|(?<text>[^<]+)`,
  'y',
);

/** Reads XML 1.0 without DTD and CDATA. @throws {Error} where it is not well-formed, with the line. */
export function parseXml(source: string): XmlElement {
  const document: XmlElement = { name: '', attributes: {}, children: [], line: 0 };
  const open: XmlElement[] = [document];
  token.lastIndex = 0;
  while (token.lastIndex < source.length) {
    const at = token.lastIndex;
    const line = source.slice(0, at).split('\n').length;
    const fail = (why: string) => new Error(`line ${line}: ${why}`);
    const groups = token.exec(source)?.groups;
    if (groups === undefined) throw fail(`not well-formed: ${source.slice(at, at + 40)}`);
    const { closing, opening, attributes = '', empty, text } = groups;
    if (text !== undefined) {
      if (open.length === 1 && text.trim() !== '') throw fail('text outside the root element');
      if (/&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[0-9A-Fa-f]+);)/.test(text)) throw fail('a bare &');
    } else if (closing !== undefined) {
      const element = open.pop();
      if (open.length === 0 || element?.name !== closing)
        throw fail(`</${closing}> closes <${element?.name}>`);
    } else if (opening !== undefined) {
      const element: XmlElement = { name: opening, attributes: {}, children: [], line };
      for (const [, name = '', value = ''] of attributes.matchAll(
        /([\w:.-]+)\s*=\s*(?:"([^"]*)"|'[^']*')/g,
      )) {
        if (Object.hasOwn(element.attributes, name)) throw fail(`${name} stands twice`);
        if (/&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[0-9A-Fa-f]+);)/.test(value)) throw fail('a bare &');
        element.attributes[name] = value;
      }
      open.at(-1)!.children.push(element);
      if (empty === '') open.push(element);
    }
  }
  if (open.length !== 1) throw new Error(`<${open.at(-1)?.name}> is not closed`);
  if (document.children.length !== 1) throw new Error('there must be one root element');
  return document.children[0]!;
}

/** All elements of a name beneath one. */
export function elements(root: XmlElement, name: string): XmlElement[] {
  return root.children.flatMap((child) => [
    ...(child.name === name ? [child] : []),
    ...elements(child, name),
  ]);
}
