import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createScratchFolder, launch, run } from './launch.ts';

// A dead process whose parent has not asked for its exit code yet is a zombie.
const isAlive = (pid: number): boolean => {
  const file = `/proc/${pid}/status`;
  return existsSync(file) && !/^State:\s+Z/m.test(readFileSync(file, 'utf8'));
};

const onLinux = process.platform === 'linux' ? describe : () => {};
onLinux('a launched server', () => {
  it('that dies before it is ready is a failure with its last words', async () => {
    const folder = await createScratchFolder('launch');
    const launched = launch({
      command: ['sh', '-c', 'echo address in use >&2; exit 1'],
      folder: folder.path,
      isReady: async () => false,
      stopSignal: 'SIGTERM',
    });
    await expect(launched).rejects.toThrow(/ended before it was ready:\naddress in use/);
    await folder.remove();
    expect(existsSync(folder.path)).toBe(false);
  });

  it('is gone once it has been stopped', async () => {
    const folder = await createScratchFolder('launch');
    let started = 0;
    const stop = await launch({
      command: ['sleep', '60'],
      folder: folder.path,
      isReady: async (pid) => {
        started = pid;
        return true;
      },
      stopSignal: 'SIGTERM',
    });
    expect(isAlive(started)).toBe(true);
    await stop();
    expect(isAlive(started)).toBe(false);
    await folder.remove();
  });

  it('does not outlive the process that launched it, killed as it may be', async () => {
    const folder = await createScratchFolder('launch');
    const script = `
      import { launch } from ${JSON.stringify(new URL('launch.ts', import.meta.url).href)};
      const isReady = async (pid) => { console.log(pid); return true; };
      await launch({ command: ['sleep', '60'], folder: ${JSON.stringify(folder.path)}, isReady, stopSignal: 'SIGTERM' });
    `;
    const launcher = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = await once(launcher.stdout, 'data');
    const started = Number(line);
    expect(isAlive(started)).toBe(true);
    launcher.kill('SIGKILL');
    await expect.poll(() => isAlive(started)).toBe(false);
    await folder.remove();
  });
});

it('a program that fails throws with what it printed', async () => {
  await expect(run(['sh', '-c', 'echo broken; exit 3'])).rejects.toThrow(/exit code 3:\nbroken/);
});
