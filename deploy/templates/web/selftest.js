// The pictures that travel in the model file, answered again here and held against what the file must answer.
import { best, classifier, fetched, sha256 } from "./classifier.js";

// Replay all golden examples. The outcome is sound when every first label is the expected one, or as probable as that,
// and the probabilities are as near as the contract allows between kernels (mean total variation distance).
export async function selftest() {
  const { contract, prepared, answer } = await classifier();
  const examples = [];
  for (const example of contract.golden.examples) {
    const pixels = await prepared(await (await fetched(example.picture)).blob());
    const { probabilities, milliseconds } = await answer(pixels);
    const [first] = best(probabilities, contract.labels, 1);
    const gap = probabilities.reduce((sum, value, number) => sum + Math.abs(value - example.expected[number]), 0);
    examples.push({
      picture: example.picture,
      shows: example.shows,
      label: first.label,
      expected: example.label,
      right: first.label === example.label || first.probability === probabilities[contract.labels.indexOf(example.label)],
      same_pixels: (await sha256(pixels.data)) === example.pixels_sha256,
      distance: gap / 2,
      milliseconds,
    });
  }
  const distance = examples.reduce((sum, { distance: each }) => sum + each, 0) / examples.length;
  const right = examples.filter((example) => example.right).length;
  const { tolerance } = contract.golden;
  const sound = right === examples.length && distance <= tolerance;
  return { sound, right, total: examples.length, distance, tolerance, examples };
}

// The outcome as a sentence.
export function sentence({ sound, right, total, distance, tolerance }) {
  if (sound) {
    return `Answers as it should: ${right} of ${total}.`;
  }
  const apart = `probabilities ${distance.toFixed(4)} apart, ${tolerance.toFixed(4)} allowed`;
  return `Does not answer as it should: ${right} of ${total}, ${apart}.`;
}
