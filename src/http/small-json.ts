/** Null: it is too large. What is no JSON is left to the schema to refuse. */
export async function readSmallJson(request: Request, mostBytes: number): Promise<{ json: unknown } | null> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.length;
    if (bytes > mostBytes) return null;
    text += decoder.decode(chunk, { stream: true });
  }
  try {
    return { json: JSON.parse(text + decoder.decode()) };
  } catch {
    return { json: undefined };
  }
}
