import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Command, run } from './launch.ts';

/** Packages of a suite of Debian, with all that they need, unpacked: the system is not touched. */
export interface Unpacked {
  readonly root: string;
  /** A program of theirs, under their own loader and libraries. */
  program(path: string, ...args: readonly string[]): Command;
}

const TRIPLET = 'x86_64-linux-gnu';

/** Fetches packages, once for this checkout: into `.engines/<name>`. */
export async function fetchDebian(name: string, suite: string, packages: readonly string[]): Promise<Unpacked> {
  const folder = fileURLToPath(new URL(`../../.engines/${name}`, import.meta.url));
  if (!existsSync(folder)) await unpack(folder, suite, packages);
  // Where a suite's libraries are, and its loader among them.
  const libraries = [`usr/lib/${TRIPLET}`, `lib/${TRIPLET}`].map((path) => join(folder, path)).filter(existsSync);
  const loader = libraries.map((path) => join(path, 'ld-linux-x86-64.so.2')).find(existsSync);
  if (loader === undefined) throw new Error(`${folder} holds no loader: remove it, and it is fetched again`);
  return {
    root: folder,
    program: (path, ...args) => [loader, '--library-path', libraries.join(':'), join(folder, path), ...args],
  };
}

async function unpack(folder: string, suite: string, packages: readonly string[]): Promise<void> {
  const fetched = `${folder}.part`;
  const apt = `${fetched}/apt`;
  await rm(fetched, { recursive: true, force: true });
  for (const each of ['none', 'lists/partial', 'archives/partial']) await mkdir(join(apt, each), { recursive: true });
  await writeFile(join(apt, 'status'), '');
  const places = await run(['apt-get', 'indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages']);
  const mirror = places.split('\n').find((place) => /\/debian\/?$/.test(place));
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  if (mirror === undefined) throw new Error('the system has no Debian mirror to fetch packages from');
  await writeFile(join(apt, 'sources.list'), `deb [signed-by=${keyring}] ${mirror} ${suite} main\n`);
  const options = [
    `Dir::Etc::sourcelist=${apt}/sources.list`,
    `Dir::Etc::sourceparts=${apt}/none`,
    `Dir::State::lists=${apt}/lists`,
    `Dir::State::status=${apt}/status`,
    `Dir::Cache=${apt}`,
    `Dir::Cache::archives=${apt}/archives`,
    'APT::Install-Recommends=false',
    'APT::Sandbox::User=root',
    'Acquire::Languages=none',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false',
  ].flatMap((option) => ['-o', option]);
  await run(['apt-get', '-qq', ...options, 'update']);
  await run(['apt-get', '-qq', ...options, '-y', '-d', 'install', ...packages]);
  for (const file of await readdir(join(apt, 'archives'))) {
    if (file.endsWith('.deb')) await run(['dpkg', '-x', join(apt, 'archives', file), fetched]);
  }
  await rm(apt, { recursive: true });
  await rename(fetched, folder);
}
