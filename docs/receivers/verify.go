package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

// verify checks a request of ours: rawBody are its bytes as they came, before any parser; timestamp and signature are
// its headers X-OpenEvent-Timestamp and X-OpenEvent-Signature.
func verify(secret, timestamp, signature string, rawBody []byte) bool {
	sent, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Since(time.UnixMilli(sent)).Abs() >= 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "."))
	mac.Write(rawBody)
	given, err := hex.DecodeString(signature)
	return err == nil && hmac.Equal(given, mac.Sum(nil))
}
