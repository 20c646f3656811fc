import http from 'node:http'
import axios from 'axios'
import got from 'got'
import ky from 'ky'
import nodeFetch from 'node-fetch'
import * as undici from 'undici'
import { callAll, clientsOf } from './calls.mjs'

await callAll(clientsOf({ undici, ky, axios, got, nodeFetch, http }))
