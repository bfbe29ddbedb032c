// Checks a request of ours: `rawBody` are its bytes as they came, before any parser; the other two are its headers
// X-OpenEvent-Timestamp and X-OpenEvent-Signature.
const crypto = require('crypto')

function verify(secret, timestamp, signature, rawBody) {
  if (!(Math.abs(Date.now() - Number(timestamp)) < 5 * 60 * 1000)) return false
  const expected = crypto.createHmac('sha256', secret).update(timestamp + '.').update(rawBody).digest()
  const given = Buffer.from(signature, 'hex')
  return given.length === expected.length && crypto.timingSafeEqual(given, expected)
}

module.exports = { verify }
