// Every interaction an EHR begins with, by fhir-kit-client: node scenario.js <base URL>. Prints what it saw, as JSON.
import assert from 'node:assert/strict';
import { Client } from 'fhir-kit-client';

const client = new Client({ baseUrl: process.argv[2] });
const body = {
  resourceType: 'Patient',
  name: [{ use: 'official', family: 'ADRUN', given: ['ZOE'] }],
  gender: 'female',
  birthDate: '1975-12-31',
};
const statement = await client.capabilityStatement();
assert.equal(statement.fhirVersion, '4.0.1');

const made = await client.create({ resourceType: 'Patient', body });
const id = made.id;
const updated = await client.update({ resourceType: 'Patient', id, body: { ...made, active: true } });
assert.equal(updated.meta.versionId, '2');
const jsonPatch = [{ op: 'replace', path: '/active', value: false }];
const patched = await client.patch({ resourceType: 'Patient', id, jsonPatch });
assert.equal(patched.active, false);
const first = await client.vread({ resourceType: 'Patient', id, version: '1' });
assert.equal(first.active, undefined);
const history = await client.history({ resourceType: 'Patient', id });
assert.deepEqual(history.entry.map((entry) => entry.request.method), ['PATCH', 'PUT', 'POST']);

for (let count = 0; count < 4; count += 1) await client.create({ resourceType: 'Patient', body });
const found = new Set();
let pages = 0;
const searchParams = { family: 'adrun', _count: 2 };
for (
  let bundle = await client.search({ resourceType: 'Patient', searchParams });
  bundle;
  bundle = await client.nextPage({ bundle })
) {
  pages += 1;
  for (const entry of bundle.entry) found.add(entry.resource.id);
}
const posted = await client.search({ resourceType: 'Patient', searchParams, options: { postSearch: true } });
assert.equal(posted.entry.length, 2);

const patient = 'urn:uuid:0c3201bd-1cbf-4d64-b04d-cd9187a4c6e0';
const weight = { resourceType: 'Observation', status: 'final', code: { text: 'Poids' }, subject: { reference: patient } };
const transaction = await client.transaction({
  body: {
    resourceType: 'Bundle',
    type: 'transaction',
    entry: [
      { fullUrl: patient, resource: body, request: { method: 'POST', url: 'Patient' } },
      { resource: weight, request: { method: 'POST', url: 'Observation' } },
    ],
  },
});
const ofCompartment = await client.search({
  resourceType: 'Observation',
  compartment: { resourceType: 'Patient', id: transaction.entry[0].response.location.split('/').at(-3) },
});
assert.equal(ofCompartment.entry.length, 1);

const fetched = await client.operation({
  name: 'ins-fetch',
  resourceType: 'Patient',
  input: {
    resourceType: 'Parameters',
    parameter: [
      { name: 'family', valueString: 'ADRUN' },
      { name: 'given', valueString: 'ZOE' },
      { name: 'gender', valueCode: 'female' },
      { name: 'birthDate', valueDate: '1975-12-31' },
    ],
  },
});
const result = fetched.parameter.find((part) => part.name === 'result').valueCode;

await client.delete({ resourceType: 'Patient', id });
const gone = await client.read({ resourceType: 'Patient', id }).catch((error) => error.response);
console.log(
  JSON.stringify({
    found: found.size,
    pages,
    result,
    statuses: transaction.entry.map((entry) => entry.response.status),
    gone: [gone.status, gone.data.resourceType],
  }),
);
