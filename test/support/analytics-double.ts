import { type DataPoint, dataPointLimits } from '../../src/metrics/data-points.ts';

/**
 * The binding of a data set that holds whoever writes to the documented limits
 * (https://developers.cloudflare.com/analytics/analytics-engine/limits/): what was written locally cannot be read again.
 */
export function recordingDataset() {
  const points: DataPoint[] = [];
  let inThisInvocation = 0;
  const bytes = (text: string) => new TextEncoder().encode(text).length;
  return {
    points,
    /** Another request, or another alarm. */
    nextInvocation: () => {
      inThisInvocation = 0;
    },
    writeDataPoint(point: AnalyticsEngineDataPoint = {}): void {
      const { blobs = [], doubles = [], indexes = [] } = point as Partial<DataPoint>;
      const broken = [
        ++inThisInvocation > dataPointLimits.points && 'more points than an invocation may write',
        blobs.length > dataPointLimits.blobs && 'more blobs than a point may have',
        blobs.reduce((sum, blob) => sum + bytes(blob), 0) > dataPointLimits.blobBytes && 'blobs too long',
        doubles.length > dataPointLimits.doubles && 'more doubles than a point may have',
        !doubles.every(Number.isFinite) && 'a double that is no number',
        indexes.length !== 1 && 'not one index',
        bytes(indexes[0] ?? '') > dataPointLimits.indexBytes && 'an index too long',
      ].filter((each) => each !== false);
      if (broken.length > 0) throw new TypeError(broken.join(', '));
      points.push(structuredClone({ blobs, doubles, indexes }) as DataPoint);
    },
  };
}

interface AnalyticsEngineDataPoint {
  indexes?: (ArrayBuffer | string | null)[];
  doubles?: number[];
  blobs?: (ArrayBuffer | string | null)[];
}
