// Answers questions with transformers.js in Node; questions and answers are lines of JSON.
import { createInterface } from "node:readline";
import process from "node:process";
import * as transformers from "@huggingface/transformers";

const { AutoProcessor, AutoTokenizer, RawImage, env } = transformers;
env.remoteHost = process.env.HF_ENDPOINT;
env.allowLocalModels = false;
env.cacheDir = process.env.CLIENT_FOLDER;

const loaded = (question) =>
  transformers[question.class].from_pretrained(question.repo, { dtype: question.variant, device: "cpu" });

async function encoded(question) {
  if (question.image) {
    const processor = await AutoProcessor.from_pretrained(question.repo);
    const { data, width, height } = question.image;
    return await processor(new RawImage(Uint8ClampedArray.from(data), width, height, 3));
  }
  if (question.sound) {
    const processor = await AutoProcessor.from_pretrained(question.repo);
    return await processor(Float32Array.from(question.sound));
  }
  const tokenizer = await AutoTokenizer.from_pretrained(question.repo);
  return await tokenizer(question.texts, { padding: true });
}

async function answer(question) {
  const model = await loaded(question);
  const inputs = await encoded(question);
  if (question.new_tokens) {
    const wanted = { max_new_tokens: question.new_tokens, do_sample: false, ...question.options };
    const tokens = Array.from((await model.generate({ ...inputs, ...wanted })).data, Number);
    const prompted = question.prompt.every((token, place) => tokens[place] === token);
    return prompted ? tokens.slice(question.prompt.length) : tokens;
  }
  const outputs = await model(inputs);
  return Array.from(outputs[question.output].data, Number);
}

for await (const line of createInterface({ input: process.stdin })) {
  const question = JSON.parse(line);
  let found;
  try {
    found = { values: await answer(question) };
  } catch (error) {
    found = { error: String(error?.message ?? error).slice(0, 300) };
  }
  process.stdout.write(`${JSON.stringify({ id: question.id, ...found })}\n`);
}
