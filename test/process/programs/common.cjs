const http = require('node:http')
const axios = require('axios')
const undici = require('undici')
const { default: got } = require('got')
const { default: ky } = require('ky')
const { default: nodeFetch } = require('node-fetch')
const { callAll, clientsOf } = require('./calls.mjs')

void callAll(clientsOf({ undici, ky, axios, got, nodeFetch, http }))
