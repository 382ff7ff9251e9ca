import type { DecisionAsk, Question, QuestionAnswer } from '../../actors/ports.ts';
import { invalidOption } from '../../actors/validation.ts';
import { type JsonFields, list, present, record, text } from '../json.ts';

type Value = string | number | boolean | string[];

/** What the agent reads as the answer. */
export type ElicitationAnswer =
  | { readonly action: 'accept'; readonly content: Readonly<Record<string, Value>> }
  | { readonly action: 'decline' }
  | { readonly action: 'cancel' };

/** One field of the form that the agent wants to have filled in. */
interface Field {
  readonly name: string;
  readonly schema: JsonFields;
  readonly isRequired: boolean;
  /** What the field may be, and how each is called. */
  readonly choices: readonly { readonly value: string; readonly label: string }[] | undefined;
}

const YES = 'Yes';
const NO = 'No';

/** Whether the request is one that a person can be asked: a form in a session. */
export function isForm(params: JsonFields): boolean {
  return params['mode'] === 'form' && text(params['sessionId']) !== undefined;
}

/** A form as a host sees it: one question for each field; one without fields is a question of its own. */
export function questionAsk(id: string, params: JsonFields): DecisionAsk {
  const message = text(params['message']) ?? 'The agent asks';
  const fields = fieldsOf(params);
  if (fields.length === 0)
    return { type: 'question', id, questions: [{ question: message, options: [{ label: YES }] }] };
  return {
    type: 'question',
    id,
    questions: fields.map((field, index) => questionOf(field, index === 0 ? message : undefined)),
  };
}

/** Throws `ERR_INVALID_OPTION` for an answer that does not fit the form. */
export function elicitationAnswer(params: JsonFields, answer: QuestionAnswer): ElicitationAnswer {
  if (answer.action !== 'accept') return { action: answer.action };
  const content: Record<string, Value> = {};
  for (const [index, field] of fieldsOf(params).entries()) {
    const value = valueOf(field, answer.answers[index] ?? []);
    if (value !== undefined) content[field.name] = value;
  }
  return { action: 'accept', content };
}

function fieldsOf(params: JsonFields): readonly Field[] {
  const schema = record(params['requestedSchema']);
  const required = new Set(list(schema['required']));
  return Object.entries(record(schema['properties'])).map(([name, property]) => ({
    name,
    schema: record(property),
    isRequired: required.has(name),
    choices: choicesOf(record(property)),
  }));
}

function choicesOf(schema: JsonFields): Field['choices'] {
  if (schema['type'] === 'boolean') return [YES, NO].map((label) => ({ value: label, label }));
  const of = schema['type'] === 'array' ? record(schema['items']) : schema;
  const titled = list(of['oneOf'] ?? of['anyOf']).map(record);
  if (titled.length > 0)
    return titled.map((one) => {
      const value = text(one['const']) ?? '';
      return { value, label: text(one['title']) ?? value };
    });
  const plain = list(of['enum'])
    .map(text)
    .filter((value) => value !== undefined);
  return plain.length > 0 ? plain.map((value) => ({ value, label: value })) : undefined;
}

function questionOf({ name, schema, choices, isRequired }: Field, message: string | undefined): Question {
  const title = text(schema['title']) ?? name;
  const parts = [message, text(schema['description'])].filter((part) => part !== undefined);
  return {
    question: parts.length > 0 ? parts.join('\n') : title,
    header: isRequired ? title : `${title} (optional)`,
    options: (choices ?? []).map(({ label }) => ({ label })),
    ...present('multiple', schema['type'] === 'array' ? true : undefined),
    ...present('custom', choices ? undefined : true),
  };
}

/** What a person chose, as the field wants it; nothing for an optional field that was left out. */
function valueOf(field: Field, labels: readonly string[]): Value | undefined {
  const { name, schema, choices, isRequired } = field;
  const given = labels.map((label) => (choices ? chosen(field, label) : label));
  if (schema['type'] === 'array') return given.length > 0 || isRequired ? given : undefined;
  const [value] = given;
  if (value === undefined) {
    if (isRequired) throw invalidOption(`the answer to ${name}`, 'one, for it is required', labels);
    return undefined;
  }
  if (schema['type'] === 'boolean') return value === YES;
  return schema['type'] === 'number' || schema['type'] === 'integer' ? numberOf(field, value) : value;
}

function chosen({ name, choices = [] }: Field, label: string): string {
  const choice = choices.find((one) => one.label === label) ?? choices.find((one) => one.value === label);
  if (choice) return choice.value;
  throw invalidOption(`the answer to ${name}`, `one of ${choices.map((one) => one.label).join(', ')}`, label);
}

function numberOf({ name, schema }: Field, label: string): number {
  const value = Number(label);
  const isWhole = schema['type'] !== 'integer' || Number.isInteger(value);
  if (label.trim() !== '' && Number.isFinite(value) && isWhole) return value;
  throw invalidOption(`the answer to ${name}`, schema['type'] === 'integer' ? 'a whole number' : 'a number', label);
}
